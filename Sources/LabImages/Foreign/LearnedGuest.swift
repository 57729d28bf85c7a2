import LabSpec

/// What the agent's installation has learned of a guest of a lab's own disk: the lines of Recipes/agent-install.sh.
struct LearnedGuest: Codable, Sendable, Hashable {
    /// The init that starts the agent.
    enum Start: String, Codable, Sendable {
        case systemd
        /// One that reads /etc/inittab.
        case inittab
    }

    /// Where the agent has its command channel.
    enum Channel: String, Codable, Sendable {
        /// A virtio port and a virtio console.
        case virtio
        /// The second serial port.
        case serial
    }

    /// The system's name, such as `Debian GNU/Linux 12 (bookworm)`.
    var system = "Linux"
    /// The release of its kernel.
    var kernel = ""
    var start: Start?
    /// Nil where no agent was installed.
    var channel: Channel?
    /// Why no agent was installed.
    var obstacle: String?
    /// Programs that it has, of those that labs want to know of.
    var tools: [String] = []

    /// Whether it says either what the agent has or why there is none; else the installation did not get to its end.
    var isWhole: Bool { channel != nil || obstacle != nil }

    /// Reads the lines; others are the guest's own.
    init(_ text: String) {
        var isInstalled = false
        var channel: Channel?
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ", maxSplits: 2).map(String.init)
            guard words.count == 3, words[0] == "vmlab-learned:" else { continue }
            // A guest can say anything.
            let value = String(words[2].prefix(200))
            switch words[1] {
            case "system": system = value
            case "kernel": kernel = value
            case "init": start = Start(rawValue: value)
            case "channel": channel = Channel(rawValue: value)
            case "obstacle": obstacle = value
            case "tool" where tools.count < 100: tools.append(value)
            case "agent": isInstalled = value == "installed"
            default: break
            }
        }
        self.channel = isInstalled ? channel : nil
    }

    /// In a few words, for `vmlab images list`.
    var summary: String {
        let tools = tools.isEmpty ? "" : " with \(tools.joined(separator: " "))"
        return "\(system)\(tools)" + (channel == nil ? ", without the agent" : "")
    }

    /// How commands reach a guest that has the agent.
    static let console = ConsoleSpec()
}

extension BootableImage {
    /// Makes this the image of a guest of which this was learned.
    mutating func apply(_ learned: LearnedGuest) {
        agentObstacle = learned.channel == nil ? learned.obstacle : nil
        guard let channel = learned.channel else { return }
        console = LearnedGuest.console
        // For the machine, which gets the devices. A kernel of the disk's own never sees these words.
        if channel == .virtio {
            cmdline = [cmdline, "vmlab.port=vmlab.com2 vmlab.keys=hvc0"].filter { !$0.isEmpty }.joined(separator: " ")
        }
        shutdown =
            learned.start == .systemd
            ? ShutdownCommands(powerOff: "systemctl poweroff", reboot: "systemctl reboot")
            : ShutdownCommands(powerOff: "sync; poweroff", reboot: "sync; reboot")
    }
}

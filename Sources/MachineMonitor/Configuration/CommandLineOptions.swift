import Diagnostics
import QMP

/// One option of `vmlab-vmm`. Our own table, because swift-argument-parser imports Foundation, which would multiply the memory of a
/// process that exists once per guest; a dozen options need no more.
struct CommandLineOption: Sendable {
    /// With its dashes.
    let name: String
    /// How the help names its value; nil for a flag.
    var value: String?
    var repeats = false
    let help: String
    /// Stores the value (empty for a flag). Throws what is wrong with it.
    let apply: @Sendable (inout CommandLineDraft, String) throws(CommandLineProblem) -> Void

    static let all: [CommandLineOption] = [
        CommandLineOption(name: "--config", value: "FILE", help: "the machine's configuration, JSON") {
            $0.configurationFile = $1
        },
        CommandLineOption(name: "--config-fd", value: "N", help: "the same, read from an inherited descriptor") {
            (draft, text) throws(CommandLineProblem) in
            guard let number = Int32(text), number >= 0 else {
                throw CommandLineProblem("is not a descriptor's number")
            }
            draft.configurationDescriptor = number
        },
        machine("--kernel", "FILE", "Linux kernel (bzImage or vmlinux)") { $0.kernel = $1 },
        machine("--initrd", "FILE", "initial RAM disk") { $0.initrd = $1 },
        machine("--append", "WORDS", "kernel command line, such as \"console=ttyS0\"") { $0.cmdline = $1 },
        machine("--memory", "SIZE", "RAM, such as 512MiB or 2G; 256MiB by default") {
            (configuration, text) throws(CommandLineProblem) in
            guard let bytes = VMConfiguration.bytes(text) else {
                throw CommandLineProblem("is not a size", remedy: VMConfiguration.sizeRemedy)
            }
            configuration.memory = bytes
        },
        machine("--cpus", "N", "processors, 1 to 16; 1 by default") {
            (configuration, text) throws(CommandLineProblem) in
            guard let count = Int(text) else { throw CommandLineProblem("is not a number") }
            configuration.cpus = count
        },
        machine(
            "--disk", "PATH[,serial=S][,readonly][,overlay=FILE]", repeats: true,
            "a raw disk; with an overlay, writes go there and PATH is only read"
        ) { (configuration, text) throws(CommandLineProblem) in
            configuration.disks.append(try VMConfiguration.Disk(words: text))
        },
        machine(
            "--net", "local=SOCKET,remote=SOCKET|tap=NAME[,mac=ADDRESS]", repeats: true,
            "a network card: frames are datagrams between two unix sockets, or go to a TAP interface"
        ) { (configuration, text) throws(CommandLineProblem) in
            let card = try VMConfiguration.Network(words: text, number: configuration.networks.count)
            configuration.networks.append(card)
        },
        machine("--serial2", "SOCKET", "second serial port, on a unix socket made there") { $0.com2 = .socket($1) },
        machine("--monitor", "SOCKET", "QMP, on a unix socket made there") { $0.monitor = .socket($1) },
        machine("--snapshots", "FOLDER", "the folder where QMP's snapshot-save may write") { $0.snapshots = $1 },
        machine(
            "--golden", "FILE", "the snapshot that the machine will become: its memory is kept there from the start"
        ) { $0.golden = $1 },
        machine("--restore", "FILE", "a snapshot to resume instead of booting") { $0.restore = $1 },
        machine("--name", "NAME", "the machine's name") { $0.name = $1 },
        machine("--no-sandbox", nil, "do not drop privileges (for debugging vmlab-vmm)") {
            (configuration, _) in configuration.sandbox = false
        },
        CommandLineOption(name: "--help", help: "this text") { (draft, _) in draft.wantsHelp = true },
        CommandLineOption(name: "--version", help: "the version") { (draft, _) in draft.wantsVersion = true },
    ]

    /// An option that describes the machine, which a configuration file excludes.
    private static func machine(
        _ name: String, _ value: String?, repeats: Bool = false, _ help: String,
        _ apply: @escaping @Sendable (inout VMConfiguration, String) throws(CommandLineProblem) -> Void
    ) -> CommandLineOption {
        CommandLineOption(name: name, value: value, repeats: repeats, help: help) {
            (draft, text) throws(CommandLineProblem) in
            draft.machineOption = draft.machineOption ?? name
            try apply(&draft.configuration, text)
        }
    }

    static var helpText: String {
        let lines = all.map { option -> String in
            let head = "  " + option.name + (option.value.map { " " + $0 } ?? "")
            let indent = String(repeating: " ", count: 24)
            return head.count < indent.count - 1
                ? head + indent.dropFirst(head.count) + option.help : "\(head)\n\(indent)\(option.help)"
        }
        return """
            vmlab-vmm: one virtual machine on /dev/kvm, its console on the terminal.

              vmlab-vmm --kernel vmlinuz --initrd initrd.img --append "console=ttyS0" --memory 512MiB
              vmlab-vmm --config machine.json

            \(lines.joined(separator: "\n"))

            Ctrl-A x ends the machine, Ctrl-A Ctrl-A sends a Ctrl-A, Ctrl-A h lists the keys. A comma in a path is written twice.
            Exit status: 0 the guest powered off, 1 it failed, 2 wrong usage, 3 trouble with the host.
            """
    }
}

struct CommandLineProblem: Error {
    var message: String
    var remedy: String?

    init(_ message: String, remedy: String? = nil) {
        self.message = message
        self.remedy = remedy
    }
}

/// The options parsed so far.
struct CommandLineDraft {
    var configuration = VMConfiguration(kernel: "", com1: .terminal)
    var configurationFile: String?
    var configurationDescriptor: Int32?
    /// The first option that describes the machine.
    var machineOption: String?
    var wantsHelp = false
    var wantsVersion = false
}

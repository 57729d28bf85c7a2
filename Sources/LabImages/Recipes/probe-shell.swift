/// What a shell needs of the machine it runs on: the probe's own hardware, or a test's.
protocol ProbeMachine: AnyObject {
    /// The guest's name in its lab.
    var name: Text { get }
    /// Disks, in order.
    var disks: [ProbeDisk] { get }
    /// Network cards, in order.
    var cards: [ProbeCard] { get }
    /// Whether Ctrl-C was typed since the command began; looks at the port.
    var isInterrupted: Bool { get }
    /// Forgets an earlier Ctrl-C.
    func beginCommand()

    /// Sends to whoever types commands.
    func say(_ text: Text)
    /// Waits so long, asleep or at full speed. Ends early, false, at Ctrl-C.
    func pass(milliseconds: Int, awake: Bool) -> Bool

    /// Reads or writes sectors of 512 bytes. Nil or false when the device refuses.
    func read(disk: Int, sector: Int, count: Int) -> Text?
    func write(disk: Int, sector: Int, bytes: Text) -> Bool

    /// Broadcasts a message on every card; false without a card.
    func send(_ message: ProbeMessage) -> Bool
    /// The next message of a kind, waiting so long for it; nil when none came, or at Ctrl-C.
    func receive(_ kind: ProbeMessage.Kind, from sender: Text?, milliseconds: Int) -> ProbeMessage?

    /// Faults, as a program that crashes does, and survives it.
    func crash()

    /// Ends of a guest's life. These return on machines that cannot do them.
    func powerOff()
    func reboot()
    func panic(_ reason: Text)
    func fault(_ kind: ProbeFault)
}

/// A fault that no guest survives.
enum ProbeFault {
    /// One of the kernel's own, which panics.
    case kernel
    /// One that nobody can take: the processor gives up, which resets the machine.
    case triple
}

/// A disk as commands see it.
struct ProbeDisk {
    var serial: Text
    var sectors: Int
    var isReadOnly: Bool
}

/// A network card as commands see it.
struct ProbeCard {
    var address: [UInt8]
    var sent = 0
    var received = 0
}

/// Files in memory: what `>` writes, such as a batch file on its way. Shared by a guest's shells.
final class ProbeFiles {
    private var files: [(path: Text, bytes: Text)] = []

    subscript(path: Text) -> Text? {
        get {
            let path = Self.plain(path)
            return files.first { $0.path == path }?.bytes
        }
        set {
            let path = Self.plain(path)
            files.removeAll { $0.path == path }
            if let newValue { files.append((path, newValue)) }
        }
    }

    /// Without drive, first slash and backslashes: there is one folder tree, whatever it is called.
    private static func plain(_ path: Text) -> Text {
        var plain = path.map { $0 == 92 ? 47 : $0 }
        if plain.count > 1, plain[0].isLetter, plain[1] == 58 { plain.removeFirst(2) }
        while plain.first == 47 { plain.removeFirst() }
        return plain
    }
}

/// A command interpreter: variables, a status, and where its output goes. Its language is in an extension of its own:
/// `probe-posix.swift` or `probe-cmd.swift`; what both know is in `probe-commands.swift`.
final class Shell<Machine: ProbeMachine> {
    /// How the shells of Linux and Windows differ beyond their languages.
    enum Language {
        case sh, cmd
    }

    /// Why no further command of a script runs.
    enum Ending {
        case exit(Int32)
        case interrupt
    }

    let machine: Machine
    let files: ProbeFiles
    let language: Language
    var variables: [(name: Text, value: Text)] = []
    /// Of the last command: `$?`, `%ERRORLEVEL%`.
    var status: Int32 = 0
    var ending: Ending?
    /// Whether the script ends at its first command that fails: `sh -e`.
    var stopsAtFailure = false
    /// Output on its way into a file; nil when it goes to the console.
    private var capture: Text?
    private var isMute = false
    /// Scripts within scripts; each takes some of the one stack there is.
    private var depth = 0
    /// Processes within processes.
    private var processes = 0
    private static var deepest: Int { 40 }

    init(_ machine: Machine, _ files: ProbeFiles, _ language: Language) {
        self.machine = machine
        self.files = files
        self.language = language
    }

    // MARK: Variables

    subscript(name: Text) -> Text? {
        get { variables.first { isSame($0.name, name) }?.value }
        set {
            if let index = variables.firstIndex(where: { isSame($0.name, name) }) {
                if let newValue { variables[index].value = newValue } else { variables.remove(at: index) }
            } else if let newValue {
                variables.append((name, newValue))
            }
        }
    }

    private func isSame(_ one: Text, _ other: Text) -> Bool {
        language == .cmd ? one.lowercased == other.lowercased : one == other
    }

    // MARK: Output

    func say(_ text: Text) {
        if capture != nil { capture? += text } else { machine.say(text) }
    }

    /// A line, with the line end of the language.
    func sayLine(_ text: Text) { say(text + newline) }

    /// What a command has to complain about.
    func complain(_ text: Text) {
        if !isMute { sayLine(text) }
    }

    var newline: Text { language == .cmd ? [13, 10] : [10] }

    /// Runs `body` with its output in a file, or its complaints nowhere.
    func redirected(_ redirection: Redirection, _ body: () -> Void) {
        let (outerCapture, outerMute) = (capture, isMute)
        if redirection.isMute { isMute = true }
        guard let path = redirection.path else {
            body()
            isMute = outerMute
            return
        }
        capture = []
        body()
        let bytes = capture ?? []
        (capture, isMute) = (outerCapture, outerMute)
        if !store(bytes, path, appending: redirection.isAppending) { status = 1 }
    }

    // MARK: Processes

    /// Runs what was typed at the resident shell. True when it said `exit`.
    func resident(_ body: () -> Void) -> Bool {
        machine.beginCommand()
        body()
        defer { ending = nil }
        if case .exit = ending { return true }
        return false
    }

    /// Runs `body` as a process of its own would run: it leaves no variables, and `exit` ends it alone. A fork begins with
    /// its parent's status, a new program with none.
    func process(isFork: Bool = false, _ body: () -> Void) {
        let outer = (variables, stopsAtFailure)
        if !isFork { (status, stopsAtFailure) = (0, false) }
        processes += 1
        nested(body)
        processes -= 1
        (variables, stopsAtFailure) = outer
        switch ending {
        case .exit(let code):
            status = code
            ending = nil
        case .interrupt:
            status = interruptStatus
            // Ctrl-C ends all processes, but not the resident shell.
            guard processes == 0 else { return }
            ending = nil
            machine.beginCommand()
        case nil: break
        }
    }

    /// Runs `body` unless that is too deep.
    func nested(_ body: () -> Void) {
        guard depth < Self.deepest else {
            complain(Text("too many levels of scripts"))
            status = 2
            return
        }
        depth += 1
        body()
        depth -= 1
    }

    /// 128 + SIGINT; STATUS_CONTROL_C_EXIT.
    private var interruptStatus: Int32 { language == .cmd ? Int32(bitPattern: 0xc000_013a) : 130 }

    /// 128 + SIGSEGV; STATUS_ACCESS_VIOLATION.
    var crashStatus: Int32 { language == .cmd ? Int32(bitPattern: 0xc000_0005) : 139 }

    /// Whether the next command may run; notices Ctrl-C.
    var goesOn: Bool {
        if ending == nil, machine.isInterrupted { ending = .interrupt }
        return ending == nil
    }
}

/// Where a command's output goes instead.
struct Redirection {
    var path: Text?
    var isAppending = false
    var isMute = false

    /// One `>` that was read: from descriptor `from` to a file, or to another descriptor.
    mutating func send(_ from: UInt8, to path: Text, appending: Bool) {
        let isNowhere = path == "/dev/null" || path.lowercased == "nul"
        if from == 50 {
            isMute = isMute || isNowhere
        } else {
            (self.path, isAppending) = (path, appending)
        }
    }
}

import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import GuestControl
import Synchronization

/// A machine whose guest is a notebook in memory. It speaks the `sh` dialect, and of all commands it knows these, a line each;
/// any other does nothing at once, so that it takes whatever is done to make a clone another guest:
///
/// - `note WORDS` writes a line into the notebook, `notes` prints it;
/// - `hostname` prints the name that the guest was given;
/// - `lacks WORDS` ends the script with status 1 when the notebook has such a line;
/// - `exit N` ends the script;
/// - `wait` goes on until Ctrl-C, `die` takes the machine with it.
///
/// Saved, it is its notebook in a file: so it can be told whether a guest goes on from another, or begins anew.
public final class NotebookMachine: Machine {
    private struct State {
        var notes: [String] = []
        var scripts: [String] = []
        var name = ""
        /// What was typed and is no whole line yet.
        var typed: [UInt8] = []
        var isUp = false
        var hasEnded = false
        /// It was saved into the folder that its memory is kept in, and stands still.
        var isAsleep = false
        var isPaused = false
        var staysWhenOff = false
        /// The nonce of a command that waits for Ctrl-C.
        var waiting: String?
    }

    /// COM1: `kernel.say("Kernel panic - not syncing: …\n")`.
    public let kernel = ScriptedGuest()
    /// COM1, which `kernel` speaks on.
    public var console: any ByteChannel { kernel }
    /// COM2, the notebook.
    public var commands: any ByteChannel { port }
    /// Its end, and what `report` is given.
    public let events: AsyncStream<MachineEvent>
    /// None.
    public let processID: Int32 = 0
    /// What it was made from.
    public let configuration: MachineConfiguration

    private let port = PlayedPort()
    private let sink: AsyncStream<MachineEvent>.Continuation
    private let state: Mutex<State>
    private let saving: @Sendable (String) -> NotebookBackend.Saving
    private let onEnd: @Sendable () -> Void

    private static let greeting = Array("\nVMLAB READY sh\n".utf8)
    /// Begins the file of a saved machine.
    private static let title = "notebook"

    init(
        _ configuration: MachineConfiguration, saving: @escaping @Sendable (String) -> NotebookBackend.Saving,
        onEnd: @escaping @Sendable () -> Void
    ) throws {
        self.configuration = configuration
        self.saving = saving
        self.onEnd = onEnd
        (events, sink) = AsyncStream.makeStream()
        var state = State(name: configuration.name)
        if let saved = configuration.restoring {
            let text = SmallFile.text(saved.state) ?? ""
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            guard lines.first == Self.title, lines.count > 1 else {
                throw Diagnostic(.host, "the machine's state \(saved.state) makes no sense")
            }
            state.name = lines[1]
            state.notes = Array(lines[2...])
        }
        self.state = Mutex(state)
        port.connect { [weak self] bytes in self?.receive(bytes) }
    }

    /// What is in the notebook.
    public var notes: [String] { state.withLock { $0.notes } }

    /// All that its shell ran since it began, whether or not it knows that.
    public var scripts: [String] { state.withLock { $0.scripts } }

    /// The guest's shell is there: it says so where it boots, and answers from now on.
    func comeUp(anew: Bool = false) {
        state.withLock { $0.isUp = true }
        if anew || configuration.restoring == nil { port.say(Self.greeting) }
        receive([])
    }

    /// The guest dies.
    public func die() {
        sink.yield(.exited(status: "it died", standardError: []))
        sink.finish()
        kernel.close()
        port.close()
    }

    /// Begins the notebook anew.
    public func reset() async throws {
        state.withLock { $0 = State(name: configuration.name, isUp: true) }
        sink.yield(.reset)
        port.say(Self.greeting)
    }

    /// The guest powers itself off.
    public func shutDown() {
        let stays = state.withLock { state in
            state.isUp = false
            return state.staysWhenOff
        }
        sink.yield(.shutdown)
        if !stays { die() }
    }

    /// The guest shuts down, unless its notebook says `stay on`.
    public func powerDown() async throws {
        if !notes.contains("stay on") { shutDown() }
    }

    /// The notebook stays when the guest is off.
    public func stayWhenOff() async throws { state.withLock { $0.staysWhenOff = true } }

    /// Comes up anew with the notebook's lines, as a guest with its disks.
    public func powerOn() async throws {
        state.withLock { $0 = State(notes: $0.notes, name: configuration.name) }
        sink.yield(.reset)
        comeUp(anew: true)
    }

    /// Hears nothing until `resume`.
    public func pause() async throws { state.withLock { $0.isPaused = true } }

    /// Hears what was typed meanwhile.
    public func resume() async throws {
        state.withLock { $0.isPaused = false }
        receive([])
    }

    /// Writes the notebook to a file, or fails as planned.
    public func save(to folder: String) async throws -> SavedMachine {
        switch saving(configuration.name) {
        case .works: break
        case .fails(let problem): throw problem
        case .takesForever: _ = try await Completion<Void>().wait()
        }
        guard try FileTree.names(in: folder).isEmpty else {
            throw Diagnostic(.host, "the folder \(folder) is not empty")
        }
        let text = state.withLock { state in
            state.isAsleep = configuration.goldenFolder != nil
            return ([Self.title, state.name] + state.notes).joined(separator: "\n")
        }
        try SmallFile.replace(folder + "/state", with: Array(text.utf8))
        return SavedMachine(state: folder + "/state")
    }

    /// Ends it.
    public func end() async {
        let isFirst = state.withLock { state in
            defer { state.hasEnded = true }
            return !state.hasEnded
        }
        guard isFirst else { return }
        die()
        onEnd()
    }

    // MARK: The shell

    private func receive(_ bytes: [UInt8]) {
        let (answer, isDead) = state.withLock { state -> (String, Bool) in
            // A signal, which only a command that waits heeds.
            state.typed += state.waiting == nil ? bytes.filter { $0 != 3 } : bytes
            guard state.isUp, !state.isPaused, !state.isAsleep else { return ("", false) }
            var answer = ""
            if let nonce = state.waiting, let key = state.typed.firstIndex(of: 3) {
                state.typed.removeSubrange(...key)
                state.waiting = nil
                answer += "\u{1e}\(nonce)-130\n"
            }
            while state.waiting == nil, let line = ShellLine(takenFrom: &state.typed) {
                switch line.meaning {
                case .probe(let nonce): answer += nonce
                case .command(let nonce, let script):
                    state.scripts.append(script)
                    answer += "\u{1e}\(nonce.prefix(8))+"
                    switch Self.run(script, &state, &answer) {
                    case .ends(let status): answer += "\u{1e}\(nonce)-\(status)\n"
                    case .waits: state.waiting = nonce
                    case .dies: return (answer, true)
                    }
                case .nothing: break
                }
            }
            return (answer, false)
        }
        if !answer.isEmpty { port.say(Array(answer.utf8)) }
        if isDead { die() }
    }

    private enum Course {
        case ends(Int)
        case waits
        case dies
    }

    private static func run(_ script: String, _ state: inout State, _ output: inout String) -> Course {
        for line in script.split(separator: "\n") {
            let words = line.split(separator: " ")
            let rest = words.dropFirst().joined(separator: " ")
            switch words.first {
            case "note": state.notes.append(rest)
            case "notes": output += state.notes.map { $0 + "\n" }.joined()
            case "lacks": if state.notes.contains(rest) { return .ends(1) }
            case "hostname": output += state.name + "\n"
            case "exit": return .ends(Int(rest) ?? 0)
            case "wait": return .waits
            case "die": return .dies
            case "if":
                // The identity that it is given.
                if let host = words.first(where: { $0.hasPrefix("host=") }) {
                    state.name = String(host.dropFirst("host=".count).prefix { $0 != "," })
                }
            default: break
            }
        }
        return .ends(0)
    }
}

/// A line that was typed to a shell in the way of the `sh` dialect: of shell, only what that dialect types.
private struct ShellLine {
    enum Meaning {
        /// The answer to it.
        case probe(String)
        case command(nonce: String, script: String)
        case nothing
    }

    private var words: [String] = [""]
    /// What is run in the shell itself, or the last command between the outermost parentheses, as typed.
    private var inner = ""

    /// Takes the first whole line; nil when there is none yet.
    init?(takenFrom typed: inout [UInt8]) {
        let text = String(decoding: typed, as: UTF8.self)
        var quote: Character?
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            let character = Character(scalar)
            switch (quote, character) {
            case (nil, "\n"):
                typed = Array(String(rest).utf8)
                words.removeAll(where: \.isEmpty)
                let line = String(text.unicodeScalars[..<rest.startIndex])
                if let own = Self.between(";{ ", ";}<&8", in: line) {
                    inner = String(own)
                } else if let command = Self.between("(", ")<&8", in: line) {
                    inner = command.split(separator: ";").last.map(String.init) ?? ""
                }
                return
            case (nil, " "), (nil, ";"): words.append("")
            case (nil, "\\"): if let next = rest.popFirst() { words[words.count - 1].unicodeScalars.append(next) }
            case (nil, "'"), (nil, "\""): quote = character
            case (let open?, _) where open == character: quote = nil
            default: words[words.count - 1].unicodeScalars.append(scalar)
            }
        }
        return nil
    }

    private static func between(_ open: String, _ close: String, in line: String) -> Substring? {
        guard let start = line.firstRange(of: open)?.upperBound,
            let end = line[start...].firstRange(of: close)?.lowerBound
        else { return nil }
        return line[start..<end]
    }

    var meaning: Meaning {
        guard words.count > 1 else { return .nothing }
        switch words[0] {
        case "v" where words.count > 2: return .command(nonce: words[1], script: words[2])
        case "k" where words.count > 2: return .command(nonce: words[2], script: "")
        case "b": return .command(nonce: words[1], script: inner)
        case "printf" where words[1] == "%s%s" && words.count > 3: return .probe(words[2] + words[3])
        default: return .nothing
        }
    }
}

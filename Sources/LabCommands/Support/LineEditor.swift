import CLineEditor
import CLinux
import Glibc
import HostSystem
import Synchronization

/// What came of waiting for a line.
enum TypedLine {
    case line(String)
    /// Ctrl-C: what was typed so far is dropped.
    case dropped
    /// The end of input, or of the conversation.
    case end
}

/// Lines that a person types, with editing, history and completion at a terminal, plain otherwise.
final class LineEditor: Sendable {
    /// What the editor's callbacks, which know no context, work for.
    private struct Shared {
        var line: String??
        var complete: (@Sendable (String) -> [String])?
    }

    private static let shared = Mutex(Shared())
    private static let mostHistory: Int32 = 1000

    private let history: String
    private let isTerminal = isatty(0) == 1
    private let wake: EventDescriptor
    private struct Input {
        var isOver = false
        /// What was read and is no whole line yet.
        var pending: [UInt8] = []
    }

    private let input = Mutex(Input())

    /// An editor whose history is kept in a file. From now on the terminal keeps what is typed for the next prompt, and shows it
    /// there; its settings are restored when nobody holds this, and when the process ends.
    init(history: String) throws(SystemCallError) {
        self.history = history
        wake = try EventDescriptor()
        guard isTerminal else { return }
        vmlab_terminal_keep(0)
        line_editor_open()
        _ = line_editor_load(history)
    }

    deinit { if isTerminal { vmlab_terminal_restore() } }

    /// `complete` gives a word's continuations from now on; it may block.
    func completes(_ complete: @escaping @Sendable (String) -> [String]) {
        Self.shared.withLock { $0.complete = complete }
    }

    /// Makes this and every later `read` answer `end`. From any thread.
    func end() {
        input.withLock { $0.isOver = true }
        wake.signal()
    }

    /// Makes a `read` that waits at a terminal drop what was typed; false where nobody types. From any thread.
    func drop() -> Bool {
        if isTerminal { wake.signal() }
        return isTerminal
    }

    /// The next line. Blocks: for a thread of its own.
    func read(_ prompt: String) -> TypedLine {
        let line = isTerminal ? readTerminal(prompt) : readPlain().map { .line($0) } ?? .end
        return input.withLock { $0.isOver } ? .end : line
    }

    /// Adds a line to the history.
    func remember(_ line: String) {
        guard isTerminal else { return }
        line_editor_remember(line)
        _ = line_editor_save(history, Self.mostHistory)
    }

    private func readTerminal(_ prompt: String) -> TypedLine {
        wake.drain()
        Self.shared.withLock { $0.line = .none }
        line_editor_begin(
            prompt, { line in LineEditor.shared.withLock { $0.line = .some(line.map { String(cString: $0) }) } },
            { word in word.map { LineEditor.completions(of: String(cString: $0)) } ?? nil })
        defer { line_editor_end() }
        while waitForInput() {
            line_editor_read()
            if let line = Self.shared.withLock({ $0.line }) { return line.map { .line($0) } ?? .end }
        }
        return .dropped
    }

    private static func completions(of word: String) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
        let words = shared.withLock { $0.complete }?(word) ?? []
        guard !words.isEmpty else { return nil }
        let size = (words.count + 1) * MemoryLayout<UnsafeMutablePointer<CChar>?>.stride
        guard let memory = malloc(size) else { return nil }
        let array = memory.bindMemory(to: UnsafeMutablePointer<CChar>?.self, capacity: words.count + 1)
        for (place, word) in words.enumerated() { array[place] = strdup(word) }
        array[words.count] = nil
        return array
    }

    private func readPlain() -> String? {
        while true {
            let line = input.withLock { input -> String? in
                guard let end = input.pending.firstIndex(of: 10) else { return nil }
                defer { input.pending.removeFirst(end + 1) }
                return String(decoding: input.pending[..<end], as: UTF8.self)
            }
            if let line { return line }
            guard waitForInput() else { return nil }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = Glibc.read(0, &bytes, bytes.count)
            guard count > 0 else {
                // A last line without its end.
                let rest = input.withLock { input in
                    defer { input.pending = [] }
                    return input.pending
                }
                return rest.isEmpty ? nil : String(decoding: rest, as: UTF8.self)
            }
            input.withLock { $0.pending += bytes[..<count] }
        }
    }

    /// False when somebody interrupts.
    private func waitForInput() -> Bool {
        var ready = [
            pollfd(fd: 0, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&ready, 2, -1) < 0, errno == EINTR {}
        return ready[1].revents == 0
    }
}

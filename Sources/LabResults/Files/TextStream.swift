import Synchronization

/// A destination of a sink's text: standard output, a file, or a test's closure. Never fails; the first error is kept.
public final class TextStream: Sendable {
    private let collect: (@Sendable (String) -> Void)?
    private let file: Mutex<FileWriter>

    /// Writes to a descriptor, which stays open. Where SIGPIPE is ignored, a reader that goes away (`vmlab run | head`) ends only
    /// the writing.
    public init(descriptor: Int32) {
        collect = nil
        file = Mutex(FileWriter(.descriptor(descriptor)))
    }

    /// Writes to a file, which is replaced; it is created at the first text.
    public init(path: String) {
        collect = nil
        file = Mutex(FileWriter(.file(path, append: false)))
    }

    /// Passes every text to a closure.
    public init(_ collect: @escaping @Sendable (String) -> Void) {
        self.collect = collect
        file = Mutex(FileWriter(.descriptor(-1)))
    }

    /// Standard output.
    public static var standardOutput: TextStream { TextStream(descriptor: 1) }

    /// Writes the text out at once.
    public func write(_ text: String) {
        if let collect { return collect(text) }
        file.withLock { file in
            file.append(text.utf8)
            file.flush()
        }
    }

    /// The errors so far, as text. Does not wait for a write in progress.
    public var problems: [String] {
        guard case .some(.some(let failure)) = file.withLockIfAvailable({ $0.failure }) else { return [] }
        return [failure.lineWithRemedy]
    }
}

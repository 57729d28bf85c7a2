import Synchronization

/// Tells a run as plain lines, one per event worth telling: for logs, pipes and CI.
public final class PlainSink: RunSink {
    private let stream: TextStream
    private let formatter: Mutex<EventFormatter>
    private let columns: @Sendable () -> Int

    /// A sink that writes to the stream, when it is quiet only failures, warnings and the last word. `directory` is where the
    /// results are, as the user should see it. Lines are broken between words to fit `columns`, which is asked before each
    /// event: a log's are not.
    public init(
        _ stream: TextStream, style: TextStyle = .plain, directory: String? = nil, isQuiet: Bool = false,
        columns: @escaping @Sendable () -> Int = { .max }
    ) {
        self.stream = stream
        self.columns = columns
        formatter = Mutex(EventFormatter(isQuiet ? .failures : .everything, style: style, directory: directory))
    }

    /// Writes the event's lines.
    public func receive(_ recorded: RecordedEvent) {
        let lines = formatter.withLock { $0.tell(recorded, columns: columns()) }
        if !lines.isEmpty { stream.write(lines.joined(separator: "\n") + "\n") }
    }

    /// Lines that could not be written.
    public var problems: [String] { stream.problems }
}

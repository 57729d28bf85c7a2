import Synchronization

/// Writes a run's noteworthy events as plain lines: for logs, pipes and CI.
public final class PlainSink: RunSink {
    private let stream: TextStream
    private let formatter: Mutex<EventFormatter>
    private let columns: @Sendable () -> Int

    /// A sink that writes to the stream; a quiet one only failures, warnings and the last line. `directory` is the results' path
    /// for the user. Lines are wrapped between words to `columns`, which is called before each event; a log's are not.
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

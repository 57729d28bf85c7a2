/// Writes a line for each event as it happens: `events.jsonl`. `RecordedEvent.line` defines its format.
public final class JSONLinesSink: RunSink {
    private let stream: TextStream

    /// A sink that writes to the stream.
    public init(_ stream: TextStream) {
        self.stream = stream
    }

    /// Writes the event's line.
    public func receive(_ recorded: RecordedEvent) {
        stream.write(recorded.line + "\n")
    }

    /// Lines that could not be written.
    public var problems: [String] { stream.problems }
}

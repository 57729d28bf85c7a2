import Synchronization

/// Tells a run as plain lines, one per event worth telling: for logs, pipes and CI.
public final class PlainSink: RunSink {
    private let stream: TextStream
    private let narrator: Mutex<Narrator>

    /// A sink that writes to the stream; `directory` is where the results are, as the user should see it.
    public init(_ stream: TextStream, style: TextStyle = .plain, directory: String? = nil) {
        self.stream = stream
        narrator = Mutex(Narrator(.everything, style: style, directory: directory))
    }

    /// A sink that tells only failures, warnings and the last word.
    public static func quiet(_ stream: TextStream, style: TextStyle = .plain, directory: String? = nil) -> PlainSink {
        PlainSink(stream, narrator: Narrator(.failures, style: style, directory: directory))
    }

    private init(_ stream: TextStream, narrator: consuming Narrator) {
        self.stream = stream
        self.narrator = Mutex(narrator)
    }

    /// Writes the event's lines.
    public func receive(_ recorded: RecordedEvent) {
        let lines = narrator.withLock { $0.tell(recorded) }
        if !lines.isEmpty { stream.write(lines.joined(separator: "\n") + "\n") }
    }

    /// Lines that could not be written.
    public var problems: [String] { stream.problems }
}

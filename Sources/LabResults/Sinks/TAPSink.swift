import Synchronization

/// Writes a run as TAP version 14, a test point as each task ends; the plan comes last.
public final class TAPSink: RunSink {
    private let stream: TextStream
    private let count = Mutex(0)

    /// A sink that writes to the stream.
    public init(_ stream: TextStream) {
        self.stream = stream
    }

    /// Writes what the event adds.
    public func receive(_ recorded: RecordedEvent) {
        switch recorded.event {
        case .runStarted: stream.write("TAP version 14\n")
        case .taskFinished(let result):
            let number = count.withLock { count in
                count += 1
                return count
            }
            stream.write(Self.point(result, number: number))
        case .interrupted(let reason): stream.write("# interrupted: \(Self.escaped(reason))\n")
        case .runFinished: stream.write("1..\(count.withLock { $0 })\n")
        default: break
        }
    }

    /// Lines that could not be written.
    public var problems: [String] { stream.problems }

    private static func point(_ result: TaskResult, number: Int) -> String {
        let isOK = result.outcome.isSuccess || result.outcome == .skipped
        let name = escaped(result.id.label) + (result.id.guest.map { " on \(escaped($0))" } ?? "")
        var text = "\(isOK ? "ok" : "not ok") \(number) - \(name)"
        if result.outcome == .skipped { text += " # SKIP \(escaped(result.message ?? ""))" }
        text += "\n"
        guard result.outcome != .passed, result.outcome != .skipped else { return text }
        // JSON strings are YAML strings.
        text += "  ---\n  outcome: \(result.outcome.rawValue)\n"
        if let message = result.message { text += "  message: \(JSONText.string(message).text)\n" }
        if let exit = result.exit { text += "  exit: \(exit)\n" }
        if let output = result.outputPath { text += "  output: \(JSONText.string(output).text)\n" }
        return text + "  duration_ms: \(fixed(result.duration * 1000, 0))\n  ...\n"
    }

    private static func escaped(_ text: String) -> String {
        String(visible(text).flatMap { $0 == "#" || $0 == "\\" ? ["\\", $0] : [$0] })
    }
}

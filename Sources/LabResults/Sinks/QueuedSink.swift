import HostSystem

/// Passes a run's events to a sink on its own thread, so that no emitter waits for a reader. Events that find no room in the queue
/// are dropped, and `problems` reports their number.
public final class QueuedSink: RunSink {
    private let sink: any RunSink
    private let name: String
    private let patience: @Sendable () -> Duration
    private let queue: WriterQueue<RecordedEvent>

    /// A queue before a sink that writes to `name`, such as `standard output`. At most `limit` bytes wait. At the end the sink is
    /// abandoned once it accepted nothing for `patience`, which is called repeatedly. Throws when no thread can be created.
    public init(
        _ sink: any RunSink, name: String, limit: Int = 64 << 20, patience: @escaping @Sendable () -> Duration
    ) throws(SystemCallError) {
        self.sink = sink
        self.name = name
        self.patience = patience
        queue = try WriterQueue(thread: "vmlab-sink", limit: limit) { event, _ in
            sink.receive(event)
        } finish: {
            sink.finish()
        }
    }

    /// Queues the event. Never blocks.
    public func receive(_ recorded: RecordedEvent) { queue.put(recorded, size: recorded.event.size) }

    /// Passed to the sink at once.
    public func show(_ line: String, of guest: String) { sink.show(line, of: guest) }

    /// Waits until the sink has everything and has finished, or is abandoned. Blocks; safe to repeat.
    public func finish() { queue.finish(patience: patience) }

    /// The sink's errors, and the number of dropped events.
    public var problems: [String] {
        if queue.isGivenUp { return ["\(name) accepts no more output: the rest of the run is not written to it"] }
        let lost = queue.dropped
        guard lost > 0 else { return sink.problems }
        return ["\(name) was too slow: \(lost) events were not written to it"] + sink.problems
    }
}

extension RunEvent {
    /// About how many bytes of memory it takes.
    fileprivate var size: Int {
        switch self {
        case .runStarted(let description): 256 * (description.tasks.count + description.guests.count) + 1024
        case .guestFailed(_, _, let message, let consoleTail): message.utf8.count + consoleTail.size + 512
        case .stepStarted(let id): id.text.utf8.count + 512
        case .stepFinished(let result): result.outputTail.utf8.count + (result.message?.utf8.count ?? 0) + 512
        case .taskFinished(let result): result.size
        case .admissionEnded(let summary): summary.reasons.size + 512
        default: 512
        }
    }
}

extension TaskResult {
    fileprivate var size: Int {
        let texts = outputTail.utf8.count + consoleTail.size + artifacts.size + (message?.utf8.count ?? 0)
        return 1024 + texts + trouble.reduce(0) { $0 + $1.lines.size } + earlier.reduce(0) { $0 + $1.size }
    }
}

extension [String] {
    fileprivate var size: Int { reduce(0) { $0 + $1.utf8.count + 32 } }
}

import HostSystem

/// Hands the events of a run to a sink on a thread of its own, so that nobody who emits them ever waits for a reader: a pipe
/// that is not read, a terminal that was stopped with Ctrl-S, a disk that hangs.
///
/// What waits is bounded. Events beyond that do not reach the sink, and `problems` says how many those were.
public final class QueuedSink: RunSink {
    private struct State {
        /// Where the sink writes to, in words.
        let name: String
        var waiting: [RecordedEvent] = []
        /// About how much memory the waiting ones take.
        var bytes = 0
        /// Events that the sink has taken.
        var taken = 0
        var dropped = 0
        var isEnding = false
        var hasEnded = false
        /// It took nothing for as long as one waits for it.
        var isGivenUp = false
    }

    private let sink: any RunSink
    private let limit: Int
    private let patience: @Sendable () -> Duration
    private let state: Monitor<State>

    /// A queue before a sink that writes to `name`, such as `standard output`. At most `limit` bytes wait. At the end the sink
    /// is given up once it took nothing for the time that `patience` says, which is asked again and again.
    ///
    /// Throws when no thread can be had.
    public init(
        _ sink: any RunSink, name: String, limit: Int = 64 << 20, patience: @escaping @Sendable () -> Duration
    ) throws(SystemCallError) {
        self.sink = sink
        self.limit = limit
        self.patience = patience
        let state = Monitor(State(name: name))
        self.state = state
        _ = try HostThread("vmlab-sink", stack: 1 << 20) { Self.write(to: sink, state) }
    }

    deinit {
        state.withLock { $0.isEnding = true }
    }

    private static func write(to sink: any RunSink, _ state: Monitor<State>) {
        while true {
            let events = state.wait { state -> [RecordedEvent]? in
                guard !state.waiting.isEmpty || state.isEnding else { return nil }
                defer { (state.waiting, state.bytes) = ([], 0) }
                return state.waiting
            }
            guard !events.isEmpty else { break }
            for event in events {
                sink.receive(event)
                state.withLock { $0.taken += 1 }
            }
        }
        sink.finish()
        state.withLock { $0.hasEnded = true }
    }

    /// Queues the event. Never blocks.
    public func receive(_ recorded: RecordedEvent) {
        let size = recorded.event.size
        state.withLock { state in
            guard state.bytes + size <= limit || state.waiting.isEmpty else { return state.dropped += 1 }
            state.waiting.append(recorded)
            state.bytes += size
        }
    }

    /// Goes to the sink at once.
    public func show(_ line: String, of guest: String) { sink.show(line, of: guest) }

    /// Waits until the sink has everything and has finished, or is given up. Blocks; safe to repeat.
    public func finish() {
        var (taken, since) = (-1, ContinuousClock.now)
        state.withLock { $0.isEnding = true }
        while !state.withLock({ $0.hasEnded || $0.isGivenUp }) {
            let now = state.wait(milliseconds: 50) { $0.hasEnded ? $0.taken : nil } ?? state.withLock { $0.taken }
            if now != taken { (taken, since) = (now, .now) }
            if .now - since >= patience() { state.withLock { $0.isGivenUp = !$0.hasEnded } }
        }
    }

    /// What the sink could not do, and what did not reach it.
    public var problems: [String] {
        let (name, lost, isGivenUp) = state.withLock { ($0.name, $0.dropped, $0.isGivenUp) }
        if isGivenUp { return ["\(name) takes nothing any more: the end of the run is not written to it"] }
        guard lost > 0 else { return sink.problems }
        return ["\(name) was too slow: \(lost) events are not written to it"] + sink.problems
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

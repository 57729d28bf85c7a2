import HostSystem

/// Hands items to whoever writes them on a thread of its own, so that nobody who has something to write ever waits for a reader:
/// a pipe that is not read, a terminal that was stopped with Ctrl-S, a disk that hangs.
///
/// What waits is bounded. Items beyond that are dropped and counted.
public final class WriterQueue<Item: Sendable>: Sendable {
    private struct Entry {
        let item: Item
        /// How many were dropped right before it.
        let missing: Int
    }

    private struct State {
        var waiting: [Entry] = []
        /// About how much memory the waiting ones take.
        var bytes = 0
        /// Items that were written.
        var taken = 0
        var dropped = 0
        /// Those dropped since the last one that was queued.
        var missing = 0
        var isEnding = false
        var hasEnded = false
        /// The writer took nothing for as long as one waits for it.
        var isGivenUp = false
    }

    private let limit: Int
    private let state: Monitor<State>

    /// A queue in which at most `limit` bytes wait. On a thread called `thread`, `write` is given each item and how many were
    /// dropped right before it, and `finish` is called at the end.
    ///
    /// Throws when no thread can be had.
    public init(
        thread: String, limit: Int, write: @escaping @Sendable (_ item: Item, _ missing: Int) -> Void,
        finish: @escaping @Sendable () -> Void = {}
    ) throws(SystemCallError) {
        self.limit = limit
        let state = Monitor(State())
        self.state = state
        _ = try HostThread(thread, stack: 1 << 20) {
            Self.drain(state, write)
            finish()
            state.withLock { $0.hasEnded = true }
        }
    }

    deinit {
        state.withLock { $0.isEnding = true }
    }

    /// Writes what comes until the queue ends.
    private static func drain(_ state: Monitor<State>, _ write: (Item, Int) -> Void) {
        while true {
            let entries = state.wait { state -> [Entry]? in
                guard !state.waiting.isEmpty || state.isEnding else { return nil }
                defer { (state.waiting, state.bytes) = ([], 0) }
                return state.waiting
            }
            guard !entries.isEmpty else { return }
            for entry in entries {
                write(entry.item, entry.missing)
                state.withLock { $0.taken += 1 }
            }
        }
    }

    /// Queues an item of about `size` bytes, or drops it where there is no room. One that is larger than the queue waits alone.
    /// Never blocks.
    public func put(_ item: Item, size: Int) {
        state.withLock { state in
            guard state.bytes + size <= limit || state.waiting.isEmpty else {
                state.dropped += 1
                state.missing += 1
                return
            }
            state.waiting.append(Entry(item: item, missing: state.missing))
            state.bytes += size
            state.missing = 0
        }
    }

    /// Waits until all is written, or the writer is given up: once it took nothing for the time that `patience` says, which is
    /// asked again and again. Blocks; safe to repeat.
    public func finish(patience: () -> Duration) {
        var (taken, since) = (-1, ContinuousClock.now)
        state.withLock { $0.isEnding = true }
        while !state.withLock({ $0.hasEnded || $0.isGivenUp }) {
            let now = state.wait(milliseconds: 50) { $0.hasEnded ? $0.taken : nil } ?? state.withLock { $0.taken }
            if now != taken { (taken, since) = (now, .now) }
            if .now - since >= patience() { state.withLock { $0.isGivenUp = !$0.hasEnded } }
        }
    }

    /// How many items were dropped so far.
    public var dropped: Int { state.withLock { $0.dropped } }

    /// Whether `finish` gave up the writer.
    public var isGivenUp: Bool { state.withLock { $0.isGivenUp } }
}

import HostSystem

/// Passes items to a writer on its own thread, so that no producer waits for a slow reader: an unread pipe, a terminal stopped with
/// Ctrl-S, a hanging disk. The queue is bounded; items beyond that are dropped and counted.
public final class WriterQueue<Item: Sendable>: Sendable {
    private struct Entry {
        let item: Item
        /// The number dropped right before it.
        let missing: Int
    }

    private struct State {
        var waiting: [Entry] = []
        /// About how much memory the waiting items take.
        var bytes = 0
        /// Items that were written.
        var taken = 0
        var dropped = 0
        /// Dropped since the last queued item.
        var missing = 0
        var isEnding = false
        var hasEnded = false
        /// The writer accepted nothing for the permitted time.
        var isGivenUp = false
    }

    private let limit: Int
    private let state: Monitor<State>

    /// A queue of at most `limit` waiting bytes. On a thread named `thread`, `write` gets each item and the number dropped right
    /// before it; `finish` is called at the end. Throws when no thread can be created.
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

    /// Queues an item of about `size` bytes, or drops it without room. One larger than the queue waits alone. Never blocks.
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

    /// Waits until all is written, or nothing was accepted for `patience` (called repeatedly). Blocks; safe to repeat.
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

    /// Whether `finish` abandoned the writer.
    public var isGivenUp: Bool { state.withLock { $0.isGivenUp } }
}

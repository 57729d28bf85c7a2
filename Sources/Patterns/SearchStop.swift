import Synchronization

/// Ends a search from outside, at any moment.
public final class SearchStop: Sendable {
    private let stopped = Atomic(false)
    /// How many more steps a careful search may take.
    private let steps: Atomic<Int>

    /// A search that takes at most so many careful steps.
    init(steps: Int) { self.steps = Atomic(steps) }

    /// A search that takes its time.
    public convenience init() { self.init(steps: .max) }

    /// Ends the search, now or as soon as it begins.
    public func stop() { stopped.store(true, ordering: .relaxed) }

    /// Whether the search is to end.
    public var isStopped: Bool { stopped.load(ordering: .relaxed) }

    /// Counts a step; only the searching thread calls it. False when there is to be none.
    func step() -> Bool {
        let left = steps.load(ordering: .relaxed)
        steps.store(left - 1, ordering: .relaxed)
        return left > 0 && !isStopped
    }
}

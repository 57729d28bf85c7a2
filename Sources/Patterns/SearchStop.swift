import Synchronization

/// Ends a search from outside, at any moment.
public final class SearchStop: Sendable {
    private let stopped = Atomic(false)
    /// The remaining steps of a careful search.
    private let steps: Atomic<Int>

    init(steps: Int) { self.steps = Atomic(steps) }

    /// A search without a limit.
    public convenience init() { self.init(steps: .max) }

    /// Ends the search, now or as soon as it begins.
    public func stop() { stopped.store(true, ordering: .relaxed) }

    /// Whether the search must end.
    public var isStopped: Bool { stopped.load(ordering: .relaxed) }

    /// Counts a step, only on the searching thread. False when the search must end.
    func step() -> Bool {
        let left = steps.load(ordering: .relaxed)
        steps.store(left - 1, ordering: .relaxed)
        return left > 0 && !isStopped
    }
}

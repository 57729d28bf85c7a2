import LabResults

extension Schedule {
    /// One run as handed out by the schedule.
    struct Run: Hashable {
        var task: Int
        /// From 1.
        var index: Int
        /// The guest that the run is bound to; nil for any guest of the target.
        var pinned: Int?
        /// The index of the task's `any` target, for a run that is bound to no guest.
        var queue = 0
        /// From 1.
        var attempt = 1
        var before: Attempt?
    }

    /// An attempt that is to be retried.
    struct Attempt: Hashable {
        var outcome: Outcome
        var message: String
        /// The results of all attempts so far.
        var results: [TaskResult] = []
    }

    /// A guest's next step.
    enum Decision: Hashable {
        case run(Run)
        /// Nothing now; a run may become ready.
        case wait
        /// Nothing is left for this guest.
        case nothing
    }

    /// A run that will never start, and why.
    struct Abandoned: Hashable {
        var run: Run
        var outcome: Outcome
        var reason: String
    }
}

import LabResults

extension Schedule {
    /// One run, as the schedule hands it out.
    struct Run: Hashable {
        var task: Int
        /// From 1.
        var index: Int
        /// The guest it is bound to; nil where any free guest of the target may take it.
        var pinned: Int?
        /// Which of its task's `any` targets it belongs to, where it is bound to no guest.
        var queue = 0
        /// From 1.
        var attempt = 1
        /// How the attempt before this one went.
        var before: Attempt?
    }

    /// How an attempt went that is to be tried again.
    struct Attempt: Hashable {
        var outcome: Outcome
        var message: String
        /// Its result, behind those of the attempts before it.
        var results: [TaskResult] = []
    }

    /// What a guest does next.
    enum Decision: Hashable {
        case run(Run)
        /// Nothing now, but something may become ready.
        case wait
        /// Nothing is left that this guest could ever run.
        case nothing
    }

    /// A run that will never start, and why.
    struct Abandoned: Hashable {
        var run: Run
        var outcome: Outcome
        var reason: String
    }
}

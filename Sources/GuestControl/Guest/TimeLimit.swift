import HostSystem
import LabSpec

/// How long an operation may take, and by when that is over.
package struct TimeLimit: Sendable {
    /// What people are told.
    package let duration: Duration
    /// Nil for a limit that counts from the operation's begin.
    private let end: ContinuousClock.Instant?

    /// A limit that counts from the operation's begin.
    init(_ duration: Duration) {
        self.duration = duration
        end = nil
    }

    /// What is left of a limit for several operations, or a little more.
    package init(_ duration: Duration, until end: ContinuousClock.Instant) {
        self.duration = duration
        self.end = end
    }

    /// For an operation that begins now.
    package var deadline: ContinuousClock.Instant { end ?? HostClock.now + duration }
}

extension LiveLimits {
    /// The time of an operation, or of one that has none of its own.
    func time(_ timeout: Duration?) -> TimeLimit { TimeLimit((timeout ?? timeouts.task) * factor) }
}

import HostSystem
import LabSpec

/// The time limit of an operation, with its deadline.
package struct TimeLimit: Sendable {
    /// The limit as shown to users.
    package let duration: Duration
    /// Nil for a limit that starts with the operation.
    private let end: ContinuousClock.Instant?

    /// A limit that starts with the operation.
    init(_ duration: Duration) {
        self.duration = duration
        end = nil
    }

    /// A limit shared by several operations, which ends at `end`.
    package init(_ duration: Duration, until end: ContinuousClock.Instant) {
        self.duration = duration
        self.end = end
    }

    /// The deadline for an operation that starts now.
    package var deadline: ContinuousClock.Instant { end ?? HostClock.now + duration }
}

extension LiveLimits {
    /// The limit of an operation, by default the task timeout.
    func time(_ timeout: Duration?) -> TimeLimit { TimeLimit((timeout ?? timeouts.task) * factor) }
}

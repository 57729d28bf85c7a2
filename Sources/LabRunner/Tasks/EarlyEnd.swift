import Quantities
import GuestControl
import HostSystem
import LabResults

/// Why a run ends early, and the deadline for cleanup.
struct EarlyEnd: Error, Sendable, Hashable {
    enum Cause: Sendable, Hashable {
        /// An interruption by the user.
        case interrupted
        case deadline
    }

    let cause: Cause
    /// The grace time, scaled for slow hosts.
    let grace: Duration
    /// The end of the grace time.
    let deadline: ContinuousClock.Instant

    init(_ cause: Cause, grace: Duration) {
        self.cause = cause
        self.grace = grace
        deadline = HostClock.now + grace
    }

    /// The reason given for the run and for tasks that did not start.
    var reason: String { cause == .interrupted ? LabRun.interruption : "the lab's time was up" }
}

extension EarlyEnd: Judged {
    var verdict: Verdict {
        cause == .interrupted
            ? Verdict(.skipped, "interrupted", guest: .lost) : Verdict(.timeout, reason, guest: .lost)
    }
}

/// The message for a run that cleans up before it ends; `isFirst` when the next Ctrl-C would be the first.
public func graceNote(_ what: String, _ grace: Duration, isFirst: Bool) -> String {
    "\(what) for up to \(grace.notation); press Ctrl-C \(isFirst ? "" : "again ")to stop now"
}

extension Completion<EarlyEnd> {
    /// Runs `operation` until the run ends early, or, when it cleans up, until the end of the grace time. Throws the `EarlyEnd`
    /// when that comes first.
    func bound<Result: Sendable>(
        cleaningUp: Bool, _ operation: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await unless(
            {
                let end = try await self.wait()
                if cleaningUp { try await HostClock.sleep(until: end.deadline) }
                return end
            }, operation)
    }
}

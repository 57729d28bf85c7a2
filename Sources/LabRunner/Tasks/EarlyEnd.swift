import Quantities
import GuestControl
import HostSystem
import LabResults

/// Why a run ends before all its tasks have run, and until when those that clean up may still run.
struct EarlyEnd: Error, Sendable, Hashable {
    enum Cause: Sendable, Hashable {
        /// Somebody wants it to end.
        case interrupted
        /// The lab's time is up.
        case deadline
    }

    let cause: Cause
    /// The grace time, as the host's speed stretches it.
    let grace: Duration
    /// Its end.
    let deadline: ContinuousClock.Instant

    init(_ cause: Cause, grace: Duration) {
        self.cause = cause
        self.grace = grace
        deadline = HostClock.now + grace
    }

    /// What is said of the run, and of what did not begin.
    var reason: String { cause == .interrupted ? LabRun.interruption : "the lab's time was up" }
}

extension EarlyEnd: Judged {
    var verdict: Verdict {
        cause == .interrupted
            ? Verdict(.skipped, "interrupted", guest: .lost) : Verdict(.timeout, reason, guest: .lost)
    }
}

/// What is told of a run that cleans up before it ends; `isFirst` when the next Ctrl-C would be the first.
public func graceNote(_ what: String, _ grace: Duration, isFirst: Bool) -> String {
    "\(what) for up to \(grace.notation); press Ctrl-C \(isFirst ? "" : "again ")to stop now"
}

extension Completion<EarlyEnd> {
    /// Runs `operation` as long as the run goes on, and for one that cleans up through the grace time. Throws the `EarlyEnd`
    /// when that is over first.
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

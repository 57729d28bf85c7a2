import HostSystem
import LabSpec
import Quantities

/// The time limits of a script's operations.
public struct LiveLimits: Sendable {
    /// The lab's timeouts; `task` applies to operations without their own.
    public var timeouts: Timeouts
    /// The factor for each timeout.
    public var factor: Double

    /// Limits as given.
    public init(timeouts: Timeouts = Timeouts(), factor: Double = 1) {
        self.timeouts = timeouts
        self.factor = factor
    }

    /// The deadline this far from now, scaled.
    public func deadline(in time: Duration) -> ContinuousClock.Instant { HostClock.now + time * factor }

    var silence: Duration? { timeouts.silence.map { $0 * factor } }
}

/// An operation in a guest timed out. The guest is still usable, unless it was lost too.
public struct GuestTimeout: Error, Sendable, Hashable, CustomStringConvertible {
    /// What did not happen, a sentence without its end.
    public var what: String
    /// The limit.
    public var limit: Duration
    /// Whether the limit is one without output.
    var isSilence = false
    /// The guest's state after the recovery.
    package var recovery = Recovery.atPrompt

    /// A timeout as given.
    public init(what: String, limit: Duration) {
        self.what = what
        self.limit = limit
    }

    /// The error as a sentence.
    public var description: String { "\(what) \(isSilence ? "for" : "within") \(limit.notation)" }
}

import HostSystem
import LabSpec
import Quantities

/// How long a script's operations may take.
public struct LiveLimits: Sendable {
    /// The lab's timeouts; `task` is that of an operation which has none of its own.
    public var timeouts: Timeouts
    /// What multiplies each of them.
    public var factor: Double

    /// Limits as given.
    public init(timeouts: Timeouts = Timeouts(), factor: Double = 1) {
        self.timeouts = timeouts
        self.factor = factor
    }

    /// The moment this much time from now, stretched.
    public func deadline(in time: Duration) -> ContinuousClock.Instant { HostClock.now + time * factor }

    var silence: Duration? { timeouts.silence.map { $0 * factor } }
}

/// Something in a guest took too long; the guest can still be used, unless it was lost as well.
public struct GuestTimeout: Error, Sendable, Hashable, CustomStringConvertible {
    /// What did not happen, a sentence without its end.
    public var what: String
    /// The limit.
    public var limit: Duration
    /// Whether it is a limit of silence.
    var isSilence = false
    /// What became of the guest.
    package var recovery = Recovery.atPrompt

    /// A timeout as given.
    public init(what: String, limit: Duration) {
        self.what = what
        self.limit = limit
    }

    /// Both in a sentence.
    public var description: String { "\(what) \(isSilence ? "for" : "within") \(limit.notation)" }
}

/// A guest's two clocks at one moment: kvm-clock, and the time stamp counter of its first processor. Guests calibrate one by the
/// other: if a restored counter ran a millisecond longer than the clock, Linux would notice within half a second and mark the
/// counter unstable for good.
struct ClockReading: Sendable, Hashable {
    /// kvm-clock.
    var nanoseconds: UInt64
    /// The counter, where the host reports it.
    var timeStamp: UInt64?

    /// Most tries to read both at one moment.
    private static let tries = 16
    /// A counter that was read within so many nanoseconds is good enough.
    private static let closeEnough: UInt64 = 20_000
    /// Readings further apart than this do not belong together.
    private static let longest: UInt64 = 60_000_000_000

    init(nanoseconds: UInt64, timeStamp: UInt64? = nil) {
        self.nanoseconds = nanoseconds
        self.timeStamp = timeStamp
    }

    /// Reads the counter between two readings of the clock, the closest of some tries. Nil without a clock; throws what `clock`
    /// throws.
    init?(clock: () throws -> UInt64?, timeStamp: () -> UInt64?) rethrows {
        guard var before = try clock() else { return nil }
        self.init(nanoseconds: before)
        var shortest = UInt64.max
        for _ in 0..<Self.tries {
            guard let stamp = timeStamp(), let after = try clock() else { return }
            let duration = after &- before
            if duration < shortest {
                shortest = duration
                (nanoseconds, self.timeStamp) = (before &+ duration / 2, stamp)
            }
            guard shortest > Self.closeEnough else { return }
            before = after
        }
    }

    /// What to add to `now`'s counter so that it advanced as long as the clock since this reading; nil when that is unknown.
    func correction(at now: ClockReading, kilohertz: UInt32) -> UInt64? {
        guard let saved = timeStamp, let current = now.timeStamp else { return nil }
        let elapsed = now.nanoseconds &- nanoseconds
        guard elapsed < Self.longest else { return nil }
        let (ticks, overflow) = elapsed.multipliedReportingOverflow(by: UInt64(kilohertz))
        return overflow ? nil : saved &+ ticks / 1_000_000 &- current
    }
}

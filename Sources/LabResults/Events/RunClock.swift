import Glibc

/// The clock of one run: seconds since the run began, and the time of day. One value serves a run's recorder, its
/// console logs and its engine, so that all their times agree.
public struct RunClock: Sendable {
    private let monotonic: @Sendable () -> Double
    private let timeOfDay: @Sendable () -> Double
    private let origin: Double

    /// The system's clock, starting now.
    public init() {
        self.init(monotonic: { Self.read(CLOCK_MONOTONIC) }, wall: { Self.read(CLOCK_REALTIME) })
    }

    /// A clock made of two others, in seconds, starting now; for tests.
    public init(monotonic: @escaping @Sendable () -> Double, wall: @escaping @Sendable () -> Double) {
        self.monotonic = monotonic
        timeOfDay = wall
        origin = monotonic()
    }

    /// Seconds since this clock was made, from a clock that never jumps.
    public var elapsed: Double { monotonic() - origin }

    /// Seconds since 1970.
    public var wall: Double { timeOfDay() }

    private static func read(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

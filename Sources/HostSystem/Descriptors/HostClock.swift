/// A clock that deadlines are measured by.
public protocol DeadlineClock: Clock where Instant == ContinuousClock.Instant {}

extension ContinuousClock: DeadlineClock {}

/// The clock of all deadlines and sleeps: the host's, or a manual clock of a test. It is task-local and inherited by child tasks.
public enum HostClock {
    /// The clock.
    @TaskLocal public static var current: any DeadlineClock = ContinuousClock()

    /// The current time.
    public static var now: ContinuousClock.Instant { current.now }

    /// Sleeps until a moment. Throws `CancellationError`.
    public static func sleep(until moment: ContinuousClock.Instant) async throws {
        try await current.sleep(until: moment, tolerance: nil)
    }

    /// Sleeps for a while. Throws `CancellationError`.
    public static func sleep(for duration: Duration) async throws { try await sleep(until: now + duration) }
}

/// A clock that deadlines are measured by.
public protocol DeadlineClock: Clock where Instant == ContinuousClock.Instant {}

extension ContinuousClock: DeadlineClock {}

/// The clock of all deadlines and waits: the host's, unless a caller hands in another one, as tests do that turn theirs by hand.
///
/// It is a value of the task, and of the tasks that this one starts.
public enum HostClock {
    /// The clock.
    @TaskLocal public static var current: any DeadlineClock = ContinuousClock()

    /// Its present time.
    public static var now: ContinuousClock.Instant { current.now }

    /// Sleeps until a moment. Throws `CancellationError`.
    public static func sleep(until moment: ContinuousClock.Instant) async throws {
        try await current.sleep(until: moment, tolerance: nil)
    }

    /// Sleeps for a while. Throws `CancellationError`.
    public static func sleep(for duration: Duration) async throws { try await sleep(until: now + duration) }
}

import HostSystem
import Synchronization

/// A clock that stands still until a test turns it.
public final class ManualClock: DeadlineClock {
    private struct Sleeper {
        let end: ContinuousClock.Instant
        let isAwake: Completion<Void>
    }

    private struct State {
        var now = ContinuousClock.now
        var count = 0
        var sleepers: [Int: Sleeper] = [:]
        /// Fulfilled when somebody lies down.
        var news = Completion<Void>()
    }

    private let state = Mutex(State())

    /// A clock that shows the present time.
    public init() {}

    /// The time that it was turned to.
    public var now: ContinuousClock.Instant { state.withLock { $0.now } }
    /// The least that it can be turned by.
    public var minimumResolution: Duration { .nanoseconds(1) }

    /// Sleeps until the clock is turned to `end`, or beyond. Throws `CancellationError`.
    public func sleep(until end: ContinuousClock.Instant, tolerance: Duration?) async throws {
        let isAwake = Completion<Void>()
        let (number, news) = state.withLock { state -> (Int, Completion<Void>?) in
            guard end > state.now else { return (-1, nil) }
            state.count += 1
            state.sleepers[state.count] = Sleeper(end: end, isAwake: isAwake)
            defer { state.news = Completion() }
            return (state.count, state.news)
        }
        guard let news else { return try Task.checkCancellation() }
        news.fulfil()
        defer { state.withLock { $0.sleepers[number] = nil } }
        try await isAwake.wait()
    }

    /// Turns the clock on by `duration`, and wakes who has slept enough.
    public func advance(by duration: Duration) {
        let awake = state.withLock { state in
            state.now += duration
            let awake = state.sleepers.filter { [now = state.now] in $0.value.end <= now }
            for number in awake.keys { state.sleepers[number] = nil }
            return awake.values
        }
        for sleeper in awake { sleeper.isAwake.fulfil() }
    }

    /// Waits until somebody sleeps for exactly so long from now, and turns the clock to the end of that. Throws
    /// `CancellationError`.
    public func fire(after duration: Duration) async throws { advance(by: try await sleep { $0 == duration }) }

    /// Waits until somebody sleeps for no longer than `limit`, and turns the clock to the end of the shortest sleep. Throws
    /// `CancellationError`.
    public func fireNext(within limit: Duration) async throws { advance(by: try await sleep { $0 <= limit }) }

    /// Waits until somebody sleeps for exactly so long from now. Throws `CancellationError`.
    public func sleeper(for duration: Duration) async throws { _ = try await sleep { $0 == duration } }

    /// The shortest sleep of those that are meant, once there is one.
    private func sleep(_ isMeant: (Duration) -> Bool) async throws -> Duration {
        while true {
            let (rest, news) = state.withLock { state in
                (state.sleepers.values.map { $0.end - state.now }.filter(isMeant).min(), state.news)
            }
            if let rest { return rest }
            try await news.wait()
        }
    }
}

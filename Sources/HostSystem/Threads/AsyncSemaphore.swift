import Synchronization

/// A counting semaphore for tasks, first come, first served. A waiting task can be cancelled.
public final class AsyncSemaphore: Sendable {
    private struct State {
        var limit: Int
        var taken = 0
        var waiters: [Completion<Void>] = []

        mutating func admit() -> [Completion<Void>] {
            let admitted = waiters.prefix(max(limit - taken, 0))
            waiters.removeFirst(admitted.count)
            taken += admitted.count
            return Array(admitted)
        }
    }

    private let places: Int
    private let state: Mutex<State>

    /// A semaphore of at least one place.
    public init(_ places: Int = 1) {
        self.places = max(places, 1)
        state = Mutex(State(limit: self.places))
    }

    /// Whether `acquire` would return at once.
    public var isFree: Bool { state.withLock { $0.taken < $0.limit } }

    var waiting: Int { state.withLock { $0.waiters.count } }

    /// Waits for a place and takes it. Throws `CancellationError` in a cancelled task: nothing is taken then.
    public func acquire() async throws(CancellationError) {
        guard !Task.isCancelled else { throw CancellationError() }
        let waiter = state.withLock { state -> Completion<Void>? in
            if state.taken < state.limit {
                state.taken += 1
                return nil
            }
            state.waiters.append(Completion())
            return state.waiters.last
        }
        do {
            try await waiter?.wait()
        } catch {
            // It may have been admitted at the last moment.
            let isWaiting = state.withLock { state in
                state.waiters.firstIndex { $0 === waiter }.map { _ = state.waiters.remove(at: $0) } != nil
            }
            if !isWaiting { release() }
            throw CancellationError()
        }
    }

    /// Gives back what `acquire` took.
    public func release() { change { $0.taken -= 1 } }

    /// Limits the semaphore to one place, or lifts that limit. Places in use are kept.
    public func throttle(_ isThrottled: Bool) { change { $0.limit = isThrottled ? 1 : places } }

    /// Waits for a place and keeps it while `body` runs. Throws `CancellationError`, and what `body` throws.
    public func withPlace<Result>(_ body: () async throws -> Result) async throws -> Result {
        try await acquire()
        defer { release() }
        return try await body()
    }

    private func change(_ body: (inout State) -> Void) {
        let admitted = state.withLock { state in
            body(&state)
            return state.admit()
        }
        for waiter in admitted { waiter.fulfil() }
    }
}

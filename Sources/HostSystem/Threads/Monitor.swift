import Glibc

/// A value shared by threads under a lock, with a condition variable for its changes. For plain threads only: a wait blocks.
public final class Monitor<State>: @unchecked Sendable {
    // Unchecked: the value is accessed only under the lock.
    private var state: State
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let change: UnsafeMutablePointer<pthread_cond_t>

    /// A monitor of this value.
    public init(_ state: sending State) {
        self.state = state
        lock = .allocate(capacity: 1)
        change = .allocate(capacity: 1)
        lock.initialize(to: pthread_mutex_t())
        change.initialize(to: pthread_cond_t())
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(change, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(change)
        pthread_mutex_destroy(lock)
        change.deallocate()
        lock.deallocate()
    }

    /// Reads the value.
    public func read<Result, Failure: Error>(_ body: (State) throws(Failure) -> Result) throws(Failure) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return try body(state)
    }

    /// Changes the value, and wakes all waiting threads.
    public func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(lock)
        defer {
            pthread_cond_broadcast(change)
            pthread_mutex_unlock(lock)
        }
        return try body(&state)
    }

    /// Waits until `body`, called at each change, returns a value. It may change the state only then.
    public func wait<Result>(_ body: (inout State) -> Result?) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while true {
            if let result = take(body) { return result }
            pthread_cond_wait(change, lock)
        }
    }

    /// Likewise, with a timeout in milliseconds; nil when it expires.
    public func wait<Result>(milliseconds: Int, _ body: (inout State) -> Result?) -> Result? {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        deadline.tv_nsec += (milliseconds % 1000) * 1_000_000
        deadline.tv_sec += milliseconds / 1000 + deadline.tv_nsec / 1_000_000_000
        deadline.tv_nsec %= 1_000_000_000
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while true {
            if let result = take(body) { return result }
            if pthread_cond_timedwait(change, lock, &deadline) == ETIMEDOUT { return take(body) }
        }
    }

    /// Under the lock.
    private func take<Result>(_ body: (inout State) -> Result?) -> Result? {
        let result = body(&state)
        if result != nil { pthread_cond_broadcast(change) }
        return result
    }
}

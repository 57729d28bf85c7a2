import Synchronization

/// A value that is set once and that any number of tasks can wait for.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case empty(waiters: [Int: CheckedContinuation<Value?, Never>], next: Int)
        case set(Value)
    }

    private let state = Mutex(State.empty(waiters: [:], next: 0))

    /// The value, if it is there.
    var value: Value? {
        state.withLock { if case .set(let value) = $0 { value } else { nil } }
    }

    /// Sets the value and wakes all who wait. Only the first call counts, and is told so.
    @discardableResult
    func set(_ value: Value) -> Bool {
        let waiters = state.withLock { state -> [Int: CheckedContinuation<Value?, Never>]? in
            guard case .empty(let waiters, _) = state else { return nil }
            state = .set(value)
            return waiters
        }
        for waiter in (waiters ?? [:]).values { waiter.resume(returning: value) }
        return waiters != nil
    }

    /// The value once it is set; nil when the calling task is cancelled first.
    func wait() async -> Value? {
        let ticket = state.withLock { state -> Int in
            guard case .empty(let waiters, let next) = state else { return 0 }
            state = .empty(waiters: waiters, next: next + 1)
            return next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state -> Value?? in
                    switch state {
                    case .set(let value): return .some(value)
                    case .empty(var waiters, let next):
                        // Cancelled before the handler below could find the continuation.
                        if Task.isCancelled { return .some(nil) }
                        waiters[ticket] = continuation
                        state = .empty(waiters: waiters, next: next)
                        return .none
                    }
                }
                if case .some(let value) = now { continuation.resume(returning: value) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Value?, Never>? in
                guard case .empty(var waiters, let next) = state else { return nil }
                let waiter = waiters.removeValue(forKey: ticket)
                state = .empty(waiters: waiters, next: next)
                return waiter
            }
            waiter?.resume(returning: nil)
        }
    }
}

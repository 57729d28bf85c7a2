import Synchronization

/// A value that is set once and that any number of tasks can await (a future).
public final class Completion<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiters: [UInt64: CheckedContinuation<Value?, Never>] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state = Mutex(State())

    /// A completion without its value.
    public init() {}

    /// Sets the value and wakes all waiting tasks. Only the first call has an effect; returns whether this was it.
    @discardableResult
    public func fulfil(_ value: Value) -> Bool {
        let waiters: [CheckedContinuation<Value?, Never>]? = state.withLock { state in
            guard state.value == nil else { return nil }
            state.value = value
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        guard let waiters else { return false }
        for waiter in waiters { waiter.resume(returning: value) }
        return true
    }

    /// The value if it is set.
    public var current: Value? { state.withLock { $0.value } }

    /// Waits for the value. Throws `CancellationError` at once when the calling task is cancelled.
    public func wait() async throws -> Value {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        let value: Value? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now: Value?? = state.withLock { state in
                    if let value = state.value { return .some(value) }
                    // Cancelled before it waits: the handler below finds no waiter, so return here.
                    if Task.isCancelled { return .some(nil) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: nil)
        }
        guard let value else { throw CancellationError() }
        return value
    }

    /// Waits for the value also in a cancelled task: for teardown, where the value is certain to be set.
    public func value() async -> Value {
        await Task.detached { [self] in
            while true {
                // A detached task without other references is never cancelled, so this returns in the first iteration.
                if let value = try? await wait() { return value }
            }
        }.value
    }
}

extension Completion where Value == Void {
    /// Wakes everyone. Only the first call counts; says whether this was it.
    @discardableResult
    public func fulfil() -> Bool { fulfil(()) }
}

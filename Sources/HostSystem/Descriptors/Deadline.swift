/// An operation did not finish in time.
public struct DeadlineExceeded: Error, Sendable, Hashable {
    /// The deadline that passed.
    public let deadline: ContinuousClock.Instant
}

/// Runs `operation` and cancels it at `deadline`, by `HostClock`. Throws `DeadlineExceeded` when the deadline cancelled it, else
/// its own error. A result at the last moment is returned, not lost. Returns only when the operation has ended.
public func withDeadline<Value: Sendable>(
    _ deadline: ContinuousClock.Instant, _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await operation() }
        group.addTask {
            try await HostClock.sleep(until: deadline)
            return nil
        }
        defer { group.cancelAll() }
        // Either the operation or the timer finished first.
        if let value = try await group.next().flatMap({ $0 }) { return value }
        try Task.checkCancellation()
        group.cancelAll()
        do {
            if let value = try await group.next().flatMap({ $0 }) { return value }
        } catch is CancellationError {
            try Task.checkCancellation()
        }
        throw DeadlineExceeded(deadline: deadline)
    }
}

/// Runs `operation`; cancels it when `end` returns an error, and throws that. Returns only when the operation has ended.
public func unless<Result: Sendable>(
    _ end: @escaping @Sendable () async throws -> any Error,
    _ operation: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result.self) { group in
        group.addTask { throw try await end() }
        group.addTask { try await operation() }
        defer { group.cancelAll() }
        guard let result = try await group.next() else { throw CancellationError() }
        return result
    }
}

extension Completion {
    /// Runs `operation`; when the value is set first, cancels it and throws `CancellationError`.
    public func cancelling<Result: Sendable>(
        _ operation: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await unless(
            {
                _ = try await self.wait()
                return CancellationError()
            }, operation)
    }
}

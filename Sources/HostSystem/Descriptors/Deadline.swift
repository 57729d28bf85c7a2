/// An operation did not finish in time.
public struct DeadlineExceeded: Error, Sendable, Hashable {
    /// When its time was over.
    public let deadline: ContinuousClock.Instant
}

/// Runs `operation` and cancels it at `deadline`.
///
/// Throws `DeadlineExceeded` when it was cancelled for its time, else what it throws itself. A result that came at the
/// last moment is returned, not lost. Returns only when the operation has ended.
public func withDeadline<Value: Sendable>(
    _ deadline: ContinuousClock.Instant, _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await operation() }
        group.addTask {
            try await Task.sleep(until: deadline, clock: .continuous)
            return nil
        }
        defer { group.cancelAll() }
        // The operation ended first, or the clock did.
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

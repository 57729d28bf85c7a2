/// Runs `operation` until it ends, or until `end` returns an error, which is then thrown and the operation cancelled. Returns
/// only when the operation has ended.
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
    /// Runs `operation` until it ends or the value comes: then it is cancelled, and a `CancellationError` thrown.
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

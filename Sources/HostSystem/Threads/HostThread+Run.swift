import Synchronization

/// Whether the work that it was given to is still wanted.
public final class CancellationFlag: Sendable {
    private let isRaised = Atomic<Bool>(false)

    /// A flag that nobody has raised.
    public init() {}

    /// Says that the work is not wanted any more.
    public func raise() { isRaised.store(true, ordering: .relaxed) }

    /// Throws `CancellationError` once it is raised. Work that takes long asks between its steps.
    public func check() throws {
        if isRaised.load(ordering: .relaxed) { throw CancellationError() }
    }
}

extension HostThread {
    /// Runs `body`, which may block, on a thread of its own. In a cancelled task the flag that it is given is raised; this
    /// returns only once `body` has.
    ///
    /// Throws what `body` throws, and a `SystemCallError` when there is no thread to be had.
    public static func run<Value: Sendable>(
        _ name: String, _ body: @escaping @Sendable (CancellationFlag) throws -> Value
    ) async throws -> Value {
        let flag = CancellationFlag()
        let ended = Completion<Result<Value, any Error>>()
        _ = try HostThread(name) { ended.fulfil(Result { try body(flag) }) }
        return try await withTaskCancellationHandler {
            try await ended.value().get()
        } onCancel: {
            flag.raise()
        }
    }
}

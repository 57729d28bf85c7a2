import CLinux
import Glibc
import Synchronization

/// A plain thread of the host, for blocking work: a vCPU in the guest, a disk's reads and writes.
public final class HostThread: Sendable {
    private struct State {
        var thread: pthread_t?
        var isJoined = false
    }

    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) { (self.name, self.body) = (name, body) }
    }

    private let state = Mutex(State())

    /// Starts a thread that runs `body` and ends. `name` is cut at 15 bytes; `stack` is in bytes.
    public init(
        _ name: String, stack: Int = 256 << 10, body: @escaping @Sendable () -> Void
    ) throws(SystemCallError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stack)
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(String(name.prefix(15)), body))
        let error = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                vmlab_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard error == 0 else {
            start.release()
            throw SystemCallError("pthread_create", errno: error)
        }
        state.withLock { $0.thread = thread }
    }

    /// Sends the thread a signal, unless it has been joined.
    public func signal(_ number: Int32) {
        state.withLock { state in
            if let thread = state.thread, !state.isJoined { pthread_kill(thread, number) }
        }
    }

    /// Waits until `body` has returned. Safe to repeat, but only one caller at a time.
    public func join() {
        let thread = state.withLock { state -> pthread_t? in
            guard !state.isJoined else { return nil }
            return state.thread
        }
        guard let thread else { return }
        pthread_join(thread, nil)
        state.withLock { $0.isJoined = true }
    }

    deinit {
        state.withLock { state in
            if let thread = state.thread, !state.isJoined { pthread_detach(thread) }
        }
    }
}

/// Tells blocking work that it was cancelled.
public final class CancellationFlag: Sendable {
    private let isRaised = Atomic<Bool>(false)

    /// A flag that is not raised.
    public init() {}

    /// Cancels the work.
    public func raise() { isRaised.store(true, ordering: .relaxed) }

    /// Throws `CancellationError` once it is raised. Long work calls it between its steps.
    public func check() throws {
        if isRaised.load(ordering: .relaxed) { throw CancellationError() }
    }
}

extension HostThread {
    /// Runs `body`, which may block, on its own thread. Cancelling the task raises the flag; this still returns only after `body`.
    /// Throws what `body` throws, and a `SystemCallError` when no thread can be created.
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

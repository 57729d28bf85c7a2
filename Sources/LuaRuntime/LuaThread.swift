import CLuaShims
import HostSystem
import Synchronization

/// The one thread that uses a state's `lua_State`, and its job queue. Not an actor: a script may be stuck in a function that cannot
/// be interrupted, and an actor's callers would wait forever. This thread is abandoned, and they get an error.
final class LuaThread: Sendable {
    private struct Job: Sendable {
        let strand: Strand?
        let work: @Sendable (Interpreter) -> Void
        let orElse: @Sendable () -> Void
    }

    private struct Queue {
        var jobs: [Job] = []
        var running: Strand?
        var isClosed = false
        var isAbandoned = false
        var hasEnded = false
        var endWaiters: [CheckedContinuation<Void, Never>] = []
    }

    /// Lua's limit of nested C calls is 200; the greediest need some KiB each, and those within `__close` come on top.
    private static let stack = 8 << 20

    let limits: LuaLimits
    private let queue = Monitor(Queue())

    init(limits: LuaLimits) { self.limits = limits }

    /// Starts the thread, which creates its interpreter.
    func start(_ make: @escaping @Sendable (LuaThread) -> Interpreter) throws(SystemCallError) {
        _ = try HostThread("lua", stack: Self.stack) { self.run(make(self)) }
    }

    private func run(_ interpreter: Interpreter) {
        while let job = next() {
            job.work(interpreter)
            queue.withLock { $0.running = nil }
        }
        interpreter.close()
        let waiters = queue.withLock { queue in
            queue.hasEnded = true
            defer { queue.endWaiters = [] }
            return queue.endWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func next() -> Job? {
        queue.wait { queue -> Job?? in
            if queue.isAbandoned { return .some(nil) }
            guard !queue.jobs.isEmpty else { return queue.isClosed ? .some(nil) : nil }
            let job = queue.jobs.removeFirst()
            queue.running = job.strand
            return job
        }
    }

    /// Queues a job behind earlier ones, or calls `orElse` when the thread accepts no more.
    func submit(
        for strand: Strand? = nil, _ work: @escaping @Sendable (Interpreter) -> Void,
        orElse: @escaping @Sendable () -> Void = {}
    ) {
        let isAccepted = queue.withLock { queue in
            guard !queue.isClosed, !queue.isAbandoned else { return false }
            queue.jobs.append(Job(strand: strand, work: work, orElse: orElse))
            return true
        }
        if !isAccepted { orElse() }
    }

    /// Ends the thread after the jobs queued so far.
    func close() {
        queue.withLock { $0.isClosed = true }
    }

    /// Waits until the thread has ended or is abandoned.
    func ended() async {
        await withCheckedContinuation { continuation in
            let hasEnded = queue.withLock { queue in
                let hasEnded = queue.hasEnded || queue.isAbandoned
                if !hasEnded { queue.endWaiters.append(continuation) }
                return hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }

    var isAbandoned: Bool { queue.read { $0.isAbandoned } }

    /// Gives up a cancelled strand that has not ended: only the strand when it waits for its turn, the thread when it is stuck.
    fileprivate func expire(_ strand: Strand) {
        guard strand.isAwaited else { return }
        let left = queue.withLock { queue -> (jobs: [Job], waiters: [CheckedContinuation<Void, Never>])? in
            guard queue.running === strand else { return nil }
            queue.isAbandoned = true
            defer { (queue.jobs, queue.endWaiters) = ([], []) }
            return (queue.jobs, queue.endWaiters)
        }
        guard let left else { return strand.answer(.failed(CancellationError())) }
        strand.answer(.failed(Self.stuck))
        for job in left.jobs { job.orElse() }
        for waiter in left.waiters { waiter.resume() }
    }

    private static let stuck = LuaError(
        message: "the cancelled script does not end: it is stuck in a function that cannot be interrupted, such as "
            + "`io.read`; its state is abandoned")
    static let gone = LuaError(message: "the script's state is closed")

    // MARK: - Strands

    /// Runs what `begin` pushes onto a coroutine to its end. Waiting functions run here, in the caller's task.
    func drive(_ begin: @escaping @Sendable (Interpreter, Strand) throws -> Int32) async throws -> [LuaValue] {
        try Task.checkCancellation()
        let strand = Strand(limits)
        var step = await advance(strand) { $0.start(strand, begin) }
        while true {
            switch step {
            case .finished(let values): return values
            case .failed(let error): throw error
            case .waits(let request):
                let outcome: Result<[LuaValue], any Error>
                do {
                    outcome = .success(try await request.body(request.call))
                } catch {
                    outcome = .failure(error)
                }
                step = await advance(strand) { $0.resume(strand, with: outcome) }
            }
        }
    }

    /// One stretch on the thread.
    private func advance(_ strand: Strand, _ work: @escaping @Sendable (Interpreter) -> Step) async -> Step {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                strand.await(continuation)
                submit(for: strand) {
                    strand.answer(work($0))
                } orElse: {
                    strand.answer(.failed(Self.gone))
                }
            }
        } onCancel: {
            strand.cancel()
            Task.detached { [limits] in
                try? await Task.sleep(for: limits.grace)
                self.expire(strand)
            }
        }
    }
}

/// The request of a waiting function.
struct Request: Sendable {
    let body: @Sendable (LuaCall) async throws -> [LuaValue]
    let call: LuaCall
}

/// How a stretch of a strand ended.
enum Step: Sendable {
    case finished([LuaValue])
    case failed(any Error)
    case waits(Request)
}

/// One run or call: a coroutine that Swift resumes, with those it resumes itself.
final class Strand: @unchecked Sendable {
    // Unchecked: the handle's stop flag is atomic, the rest of it and the variables belong to the state's thread.
    let handle: OpaquePointer
    var coroutine: OpaquePointer?
    var anchor: Int32 = 0
    var pending: Request?
    var outcome: Result<[LuaValue], any Error>?
    private let waiter = Mutex<CheckedContinuation<Step, Never>?>(nil)

    init(_ limits: LuaLimits) {
        handle = luart_strand_new(limits.instructions.map { Int64($0) } ?? .max)
    }

    deinit { luart_strand_free(handle) }

    /// Makes it stop as soon as possible. On any thread.
    func cancel() { luart_strand_stop(handle, Int32(LUART_STOP_CANCELLED)) }

    var isCancelled: Bool { luart_strand_reason(handle) == LUART_STOP_CANCELLED }

    var isAwaited: Bool { waiter.withLock { $0 != nil } }

    func await(_ continuation: CheckedContinuation<Step, Never>) {
        waiter.withLock { $0 = continuation }
    }

    /// Resumes the waiting caller, unless that was done before.
    func answer(_ step: Step) {
        waiter.withLock { waiter in
            defer { waiter = nil }
            return waiter
        }?.resume(returning: step)
    }
}

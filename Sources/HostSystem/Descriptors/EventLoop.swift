import CLinux
import Glibc
import Synchronization

/// One thread that waits on epoll for everyone: sockets, pipes, children.
///
/// The thread lives as long as the process. Children that must die with their parent rely on that: Linux sends
/// `PR_SET_PDEATHSIG` when the *thread* that made the child ends, so children are made on such a thread (`spawner`) and
/// never on Swift's pool.
public final class EventLoop: Sendable {
    private struct Entry {
        let number: Int32
        var reader: (id: UInt64, continuation: CheckedContinuation<Bool, Never>)?
        var writer: (id: UInt64, continuation: CheckedContinuation<Bool, Never>)?
        /// Called on the loop's thread at each readiness to read; such an entry has no waiters.
        var handler: (@Sendable () -> Void)?
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var next: UInt64 = 1
        var jobs: [@Sendable () -> Void] = []
    }

    private static let wakeToken: UInt64 = 0

    private let epoll: OwnedDescriptor
    private let wake: EventDescriptor
    private let state = Mutex(State())

    private static let started = make("vmlab-events")
    private static let spawning = make("vmlab-spawn")

    private static func make(_ name: String) -> Result<EventLoop, SystemCallError> {
        do throws(SystemCallError) {
            return .success(try EventLoop(name))
        } catch {
            return .failure(error)
        }
    }

    /// The process's loop. Throws when the kernel refuses its thread or descriptors, at the first use and ever after.
    public static var shared: EventLoop {
        get throws(SystemCallError) { try started.get() }
    }

    /// A second thread that starts children and does nothing else: each start takes it a millisecond or more, which
    /// everyone's input and output should not wait for.
    static var spawner: EventLoop {
        get throws(SystemCallError) { try spawning.get() }
    }

    private init(_ name: String) throws(SystemCallError) {
        epoll = OwnedDescriptor(owning: try systemCall("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
        wake = try EventDescriptor()
        try control(EPOLL_CTL_ADD, wake.number, Self.wakeToken, EPOLLIN.rawValue)
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        // The thread inherits an all-blocked mask: signals are for the threads that expect them.
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        _ = try HostThread(name, stack: 1 << 20) { self.run() }
    }

    private func run() {
        forEachReady(epoll.number, while: { true }) { event in
            if event.data.u64 == Self.wakeToken {
                runJobs()
            } else {
                dispatch(event.data.u64, event.events)
            }
        }
    }

    private func runJobs() {
        wake.drain()
        let jobs = state.withLock { state in
            defer { state.jobs = [] }
            return state.jobs
        }
        for job in jobs { job() }
    }

    private func dispatch(_ token: UInt64, _ events: UInt32) {
        let trouble = EPOLLHUP.rawValue | EPOLLERR.rawValue
        let forReader = events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue | trouble) != 0
        let forWriter = events & (EPOLLOUT.rawValue | trouble) != 0
        var resumed: [CheckedContinuation<Bool, Never>] = []
        let handler = state.withLock { state -> (@Sendable () -> Void)? in
            guard var entry = state.entries[token] else { return nil }
            if let handler = entry.handler { return handler }
            if forReader, let reader = entry.reader {
                resumed.append(reader.continuation)
                entry.reader = nil
            }
            if forWriter, let writer = entry.writer {
                resumed.append(writer.continuation)
                entry.writer = nil
            }
            state.entries[token] = entry
            // One shot: the kernel has disarmed it, so arm it again for whoever still waits.
            if entry.reader != nil || entry.writer != nil { arm(token, entry) }
            return nil
        }
        handler?()
        for continuation in resumed { continuation.resume(returning: true) }
    }

    /// Level-triggered and one-shot: arming looks at the descriptor again, so no readiness is ever missed.
    private func arm(_ token: UInt64, _ entry: Entry) {
        var interest = EPOLLONESHOT.rawValue
        if entry.reader != nil { interest |= EPOLLIN.rawValue | EPOLLRDHUP.rawValue }
        if entry.writer != nil { interest |= EPOLLOUT.rawValue }
        // The entry is in the table, so its descriptor is registered and this cannot fail.
        try? control(EPOLL_CTL_MOD, entry.number, token, interest)
    }

    private func control(
        _ operation: Int32, _ number: Int32, _ token: UInt64, _ interest: UInt32
    ) throws(SystemCallError) {
        var event = epoll_event(events: interest, data: epoll_data_t(u64: token))
        try systemCall("epoll_ctl") { epoll_ctl(epoll.number, operation, number, &event) }
    }

    /// Runs `body` on the loop's thread. It must not block.
    public func run<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            state.withLock { $0.jobs.append { continuation.resume(returning: body()) } }
            wake.signal()
        }
    }

    /// Registers a descriptor, with a handler for readiness to read or for waiting; returns its token.
    func register(_ number: Int32, handler: (@Sendable () -> Void)?) throws(SystemCallError) -> UInt64 {
        let token = state.withLock { state in
            defer { state.next += 1 }
            state.entries[state.next] = Entry(number: number, handler: handler)
            return state.next
        }
        do {
            try control(
                EPOLL_CTL_ADD, number, token, handler == nil ? EPOLLONESHOT.rawValue : EPOLLIN.rawValue)
        } catch {
            state.withLock { _ = $0.entries.removeValue(forKey: token) }
            throw error
        }
        return token
    }

    /// Forgets a descriptor that is still open; whoever waits for it wakes. Safe to repeat.
    func remove(_ token: UInt64) {
        let entry = state.withLock { state -> Entry? in
            guard let entry = state.entries.removeValue(forKey: token) else { return nil }
            try? control(EPOLL_CTL_DEL, entry.number, 0, 0)
            return entry
        }
        entry?.reader?.continuation.resume(returning: true)
        entry?.writer?.continuation.resume(returning: true)
    }

    enum Direction { case read, write }

    /// Returns when the descriptor is ready or forgotten. Throws `CancellationError` at once when the task is cancelled.
    func wait(_ token: UInt64, for direction: Direction) async throws {
        let id = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        let ready = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Bool? in
                    // Cancelled before it waits: the handler below finds nobody to resume, so answer here.
                    if Task.isCancelled { return false }
                    guard var entry = state.entries[token] else { return true }
                    switch direction {
                    case .read:
                        guard entry.reader == nil else { return true }
                        entry.reader = (id, continuation)
                    case .write:
                        guard entry.writer == nil else { return true }
                        entry.writer = (id, continuation)
                    }
                    state.entries[token] = entry
                    arm(token, entry)
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
                guard var entry = state.entries[token] else { return nil }
                defer { state.entries[token] = entry }
                if let reader = entry.reader, reader.id == id {
                    entry.reader = nil
                    return reader.continuation
                }
                if let writer = entry.writer, writer.id == id {
                    entry.writer = nil
                    return writer.continuation
                }
                return nil
            }
            waiter?.resume(returning: false)
        }
        if !ready { throw CancellationError() }
    }
}

/// An open descriptor's place in the event loop. End it before the descriptor is closed.
///
/// One task may wait to read and one to write at a time; a second one returns at once and tries again.
public final class Readiness: Sendable {
    private let loop: EventLoop
    private let token: UInt64

    /// Registers a non-blocking descriptor. Throws when the kernel cannot (a regular file, out of memory).
    public init(of number: Int32) throws(SystemCallError) {
        loop = try EventLoop.shared
        token = try loop.register(number, handler: nil)
    }

    /// Calls `handler` on the loop's thread whenever the descriptor is ready to read, until `end()`.
    ///
    /// The handler must read until `EAGAIN` or end the registration, and must not block.
    init(of number: Int32, handler: @escaping @Sendable () -> Void) throws(SystemCallError) {
        loop = try EventLoop.shared
        token = try loop.register(number, handler: handler)
    }

    deinit { end() }

    /// Returns when a read will not wait: bytes, the end, an error, or this registration's end.
    ///
    /// Throws `CancellationError` at once when the calling task is cancelled.
    public func readable() async throws { try await loop.wait(token, for: .read) }

    /// Returns when a write will not wait, likewise.
    public func writable() async throws { try await loop.wait(token, for: .write) }

    /// Forgets the descriptor and wakes whoever waits. Safe to repeat.
    public func end() { loop.remove(token) }
}

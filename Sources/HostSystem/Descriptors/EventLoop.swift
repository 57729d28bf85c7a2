import Glibc
import Synchronization

/// One epoll thread for all sockets, pipes and children.
///
/// The thread lives as long as the process. Children that must die with their parent rely on that: Linux sends `PR_SET_PDEATHSIG`
/// when the *thread* that made the child ends, so children are made on such a thread (`spawner`) and never on Swift's pool.
public final class EventLoop: Sendable {
    private struct Entry {
        let watch: Reactor.Watch
        var reader: Completion<Void>?
        var writer: Completion<Void>?

        /// Level-triggered with one-shot: each re-arm checks the descriptor again, so no readiness is missed.
        var interest: Reactor.Interest {
            var interest = Reactor.Interest.once
            if reader != nil { interest.formUnion(.readable) }
            if writer != nil { interest.formUnion(.writable) }
            return interest
        }
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var next: UInt64 = 1
    }

    private let reactor: Reactor
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

    /// The process's loop. Throws when its thread or descriptors cannot be created, at the first use and ever after.
    public static var shared: EventLoop {
        get throws(SystemCallError) { try started.get() }
    }

    /// A second thread that only starts children: each start takes a millisecond or more, which must not delay I/O.
    static var spawner: EventLoop {
        get throws(SystemCallError) { try spawning.get() }
    }

    private init(_ name: String) throws(SystemCallError) {
        reactor = try Reactor()
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        // The thread inherits a mask that blocks all signals: other threads handle them.
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        _ = try HostThread(name, stack: 1 << 20) { [reactor] in reactor.run() }
    }

    /// Runs `body` on the loop's thread. It must not block.
    public func run<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            reactor.perform { continuation.resume(returning: body()) }
        }
    }

    /// Registers a descriptor, with a handler for readiness to read or for waiting; returns its token.
    func register(_ number: Int32, handler: (@Sendable () -> Void)?) throws(SystemCallError) -> UInt64 {
        let token = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        let watch =
            if let handler {
                try reactor.watch(number) { _ in handler() }
            } else {
                try reactor.watch(number, for: .once) { self.dispatch(token, $0) }
            }
        state.withLock { $0.entries[token] = Entry(watch: watch) }
        return token
    }

    private func dispatch(_ token: UInt64, _ ready: Reactor.Interest) {
        let woken = state.withLock { state -> [Completion<Void>] in
            guard var entry = state.entries[token] else { return [] }
            var woken: [Completion<Void>] = []
            if !ready.isDisjoint(with: [.readable, .hungUp]), let reader = entry.reader {
                woken.append(reader)
                entry.reader = nil
            }
            if !ready.isDisjoint(with: [.writable, .hungUp]), let writer = entry.writer {
                woken.append(writer)
                entry.writer = nil
            }
            state.entries[token] = entry
            // One-shot: re-arm for a task that still waits.
            if entry.interest != .once { reactor.update(entry.watch, to: entry.interest) }
            return woken
        }
        for waiter in woken { waiter.fulfil() }
    }

    /// Unregisters a descriptor, which must still be open, and wakes its waiting tasks. Safe to repeat.
    func remove(_ token: UInt64) {
        guard let entry = state.withLock({ $0.entries.removeValue(forKey: token) }) else { return }
        reactor.unwatch(entry.watch)
        entry.reader?.fulfil()
        entry.writer?.fulfil()
    }

    enum Direction { case read, write }

    /// Returns when the descriptor is ready or unregistered, or another task already waits for the same. Throws `CancellationError`
    /// at once when the task is cancelled.
    func wait(_ token: UInt64, for direction: Direction) async throws {
        try Task.checkCancellation()
        let place = direction == .read ? \Entry.reader : \Entry.writer
        let waiter = Completion<Void>()
        let mustWait = state.withLock { state in
            guard var entry = state.entries[token], entry[keyPath: place] == nil else { return false }
            entry[keyPath: place] = waiter
            state.entries[token] = entry
            reactor.update(entry.watch, to: entry.interest)
            return true
        }
        guard mustWait else { return }
        do {
            try await waiter.wait()
        } catch {
            state.withLock { state in
                guard state.entries[token]?[keyPath: place] === waiter else { return }
                state.entries[token]?[keyPath: place] = nil
            }
            throw error
        }
    }
}

/// A descriptor's registration with the event loop. End it before the descriptor is closed. One task may wait to read and one to
/// write at a time; a second one returns at once and must retry.
public final class Readiness: Sendable {
    private let loop: EventLoop
    private let token: UInt64

    /// Registers a non-blocking descriptor. Throws when the kernel cannot (a regular file, out of memory).
    public init(of number: Int32) throws(SystemCallError) {
        loop = try EventLoop.shared
        token = try loop.register(number, handler: nil)
    }

    /// Calls `handler` on the loop's thread whenever the descriptor is ready to read, until `end()`. The handler must read until
    /// `EAGAIN` or end the registration, and must not block.
    init(of number: Int32, handler: @escaping @Sendable () -> Void) throws(SystemCallError) {
        loop = try EventLoop.shared
        token = try loop.register(number, handler: handler)
    }

    deinit { end() }

    /// Returns when a read does not block: bytes, end of stream, an error, or the end of this registration. Throws
    /// `CancellationError` at once when the calling task is cancelled.
    public func readable() async throws { try await loop.wait(token, for: .read) }

    /// Returns when a write does not block, likewise.
    public func writable() async throws { try await loop.wait(token, for: .write) }

    /// Unregisters the descriptor and wakes waiting tasks. Safe to repeat.
    public func end() { loop.remove(token) }
}

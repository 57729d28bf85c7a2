import CLinux
import Glibc
import Synchronization

/// An epoll loop that runs its handlers sequentially on the thread that called `run()`: for programs of plain threads such as the
/// virtual machine monitor. (`EventLoop` serves Swift's `async` instead.)
public final class Reactor: Sendable {
    /// Events that a descriptor is watched for, or is ready for.
    public struct Interest: OptionSet, Sendable, Hashable {
        /// epoll's event bits (epoll_ctl(2)).
        public let rawValue: UInt32
        /// Events by epoll's bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// Bytes or end of stream can be read.
        public static let readable = Interest(rawValue: EPOLLIN.rawValue)
        /// A write does not block.
        public static let writable = Interest(rawValue: EPOLLOUT.rawValue)
        /// Reports one event, then none until `update`.
        public static let once = Interest(rawValue: EPOLLONESHOT.rawValue)
        /// The peer is gone, or the descriptor has an error. Always reported.
        public static let hungUp = Interest(rawValue: EPOLLHUP.rawValue | EPOLLERR.rawValue)
    }

    /// One watched descriptor.
    public struct Watch: Sendable, Hashable {
        fileprivate let token: UInt64
    }

    private struct Entry {
        let number: Int32
        let handler: @Sendable (Interest) -> Void
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var nextToken: UInt64 = 1
        var jobs: [@Sendable () -> Void] = []
        var isStopped = false
    }

    private static let wakeToken: UInt64 = 0

    private let epoll: OwnedDescriptor
    private let wake: EventDescriptor
    private let state = Mutex(State())

    /// Makes a loop that watches nothing yet.
    public init() throws(SystemCallError) {
        epoll = OwnedDescriptor(owning: try systemCall("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
        wake = try EventDescriptor()
        try control(EPOLL_CTL_ADD, wake.number, Self.wakeToken, .readable)
    }

    /// Watches a descriptor, level-triggered, until `unwatch`; the caller keeps it open that long. `handler` runs on the
    /// loop's thread and must not block.
    public func watch(
        _ number: Int32, for interest: Interest = .readable, _ handler: @escaping @Sendable (Interest) -> Void
    ) throws(SystemCallError) -> Watch {
        let token = state.withLock { state in
            defer { state.nextToken += 1 }
            state.entries[state.nextToken] = Entry(number: number, handler: handler)
            return state.nextToken
        }
        do throws(SystemCallError) {
            try control(EPOLL_CTL_ADD, number, token, interest)
        } catch {
            state.withLock { _ = $0.entries.removeValue(forKey: token) }
            throw error
        }
        return Watch(token: token)
    }

    /// Changes the watched events; an empty interest still reports `hungUp`. No effect after `unwatch`.
    public func update(_ watch: Watch, to interest: Interest) {
        state.withLock { state in
            guard let entry = state.entries[watch.token] else { return }
            try? control(EPOLL_CTL_MOD, entry.number, watch.token, interest)
        }
    }

    /// Stops watching an open descriptor. On the loop's thread, its handler does not run any more then. Safe to repeat.
    public func unwatch(_ watch: Watch) {
        let entry = state.withLock { state -> Entry? in
            guard let entry = state.entries.removeValue(forKey: watch.token) else { return nil }
            try? control(EPOLL_CTL_DEL, entry.number, 0, [])
            return entry
        }
        // Released outside the lock: this may free objects that unwatch other descriptors.
        withExtendedLifetime(entry) {}
    }

    /// Queues `job` for the loop's thread, in order. May be called on any thread.
    public func perform(_ job: @escaping @Sendable () -> Void) {
        state.withLock { $0.jobs.append(job) }
        wake.signal()
    }

    /// Makes `run` return after the handlers of this round. May be called on any thread.
    public func stop() {
        state.withLock { $0.isStopped = true }
        wake.signal()
    }

    /// Calls handlers and jobs on this thread until `stop`.
    public func run() {
        forEachReady(epoll.number, while: { !state.withLock { $0.isStopped } }) { event in
            if event.data.u64 == Self.wakeToken {
                wake.drain()
                let jobs = state.withLock { state in
                    defer { state.jobs = [] }
                    return state.jobs
                }
                for job in jobs { job() }
            } else {
                let handler = state.withLock { $0.entries[event.data.u64]?.handler }
                handler?(Interest(rawValue: event.events))
            }
        }
    }

    private func control(
        _ operation: Int32, _ number: Int32, _ token: UInt64, _ interest: Interest
    ) throws(SystemCallError) {
        var event = epoll_event(events: interest.rawValue, data: epoll_data_t(u64: token))
        try systemCall("epoll_ctl") { epoll_ctl(epoll.number, operation, number, &event) }
    }
}

/// Calls `handle` for each ready event of an epoll descriptor, on this thread, while `goesOn` returns true. The events are stored
/// in memory of this call, not in an array: with optimization, Swift 6.3 allocates a new array for each `epoll_wait` where a loop
/// iterates over a slice of it, and never frees it (1.5 KiB per wakeup).
private func forEachReady(_ epoll: Int32, while goesOn: () -> Bool, _ handle: (epoll_event) -> Void) {
    let ready = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: 128)
    defer { ready.deallocate() }
    while goesOn() {
        let count = epoll_wait(epoll, ready.baseAddress, Int32(ready.count), -1)
        for index in 0..<max(Int(count), 0) { handle(ready[index]) }
    }
}

import Glibc
import HostSystem
import Synchronization

/// Writes the guest's debug-port marks to a host descriptor, one line each: the mark, the monotonic clock in nanoseconds, and the
/// number of vCPU exits so far. A vCPU only records its mark; the reactor's thread writes the lines, without blocking. A bounded
/// number of marks waits for a slow reader; further ones are lost and counted in a line `lost COUNT`.
final class DebugLog: Sendable {
    private struct Mark {
        let byte: UInt8
        let nanoseconds: Int
        let exits: UInt64
    }

    private struct State {
        var marks: [Mark] = []
        var lost: UInt64 = 0
        var isScheduled = false
    }

    /// Used only on the reactor's thread.
    private struct Writer {
        var queue = OutputQueue()
        var watch: Reactor.Watch?
        var isBroken = false
    }

    /// Limits of recorded marks, and of bytes that wait for the reader.
    private static let markLimit = 4096
    private static let byteLimit = 64 << 10

    private let file: OwnedDescriptor
    private let reactor: Reactor
    private let state = Mutex(State())
    private let writer = Mutex(Writer())

    /// A log to an inherited descriptor. Throws the kernel's error. Create it before the sandbox denies file access.
    init(_ number: Int32, reactor: Reactor) throws(SystemCallError) {
        file = try OwnedDescriptor.reopened(number, O_WRONLY | O_APPEND)
        var status = stat()
        let own = file.number
        try systemCall("fstat") { fstat(own, &status) }
        // Sockets cannot be reopened; the other end is unaffected.
        if status.st_mode & S_IFMT == S_IFSOCK { try file.setNonBlocking() }
        self.reactor = reactor
    }

    /// Records a mark. On any thread, without blocking.
    func note(_ byte: UInt8, exits: UInt64) {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let mark = Mark(byte: byte, nanoseconds: now.tv_sec * 1_000_000_000 + now.tv_nsec, exits: exits)
        let isFirst = state.withLock { state in
            guard state.marks.count < Self.markLimit else {
                state.lost &+= 1
                return false
            }
            state.marks.append(mark)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isFirst { reactor.perform { [weak self] in self?.write() } }
    }

    /// Writes without blocking; on the reactor's thread, or after the reactor ended.
    func write() {
        writer.withLock { writer in
            guard !writer.isBroken else { return }
            var hasRoom: Bool
            repeat {
                hasRoom = writer.queue.count < Self.byteLimit
                if hasRoom { writer.queue.append(takeLines()) }
                switch writer.queue.write(to: file.number) {
                // Marks that found no room now fit, and no other event would write them.
                case .success(true): setWaiting(false, &writer)
                case .success(false): return setWaiting(true, &writer)
                case .failure: return giveUp(&writer)
                }
            } while !hasRoom
        }
    }

    private func takeLines() -> [UInt8] {
        let (marks, lost) = state.withLock { state in
            defer { (state.marks, state.lost, state.isScheduled) = ([], 0, false) }
            return (state.marks, state.lost)
        }
        let lines = marks.map { "\($0.byte) \($0.nanoseconds) \($0.exits)\n" }
        return Array((lines.joined() + (lost > 0 ? "lost \(lost)\n" : "")).utf8)
    }

    /// Watch the reader only while output is queued: epoll would report its hang-up repeatedly.
    private func setWaiting(_ isWaiting: Bool, _ writer: inout Writer) {
        if isWaiting, writer.watch == nil {
            writer.watch = try? reactor.watch(file.number, for: .writable) { [weak self] _ in self?.write() }
        } else if !isWaiting, let watch = writer.watch.take() {
            reactor.unwatch(watch)
        }
    }

    /// The reader is gone. Later marks are counted as lost and never reported.
    private func giveUp(_ writer: inout Writer) {
        writer.isBroken = true
        writer.queue = OutputQueue()
        setWaiting(false, &writer)
    }
}

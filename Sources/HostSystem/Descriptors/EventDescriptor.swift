import CLinux
import Glibc

/// An eventfd: a counter whose descriptor becomes readable. KVM signals it (ioeventfd) and receives from it (irqfd).
public final class EventDescriptor: Sendable {
    private let descriptor: OwnedDescriptor

    /// The descriptor, valid as long as this object lives.
    public var number: Int32 { descriptor.number }

    /// Creates a non-blocking eventfd, close-on-exec.
    public init() throws(SystemCallError) {
        let flags = Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)
        descriptor = OwnedDescriptor(owning: try systemCall("eventfd") { eventfd(0, flags) })
    }

    /// Increments the counter. Async-signal-safe; a full counter is already signalled.
    public func signal() {
        var one: UInt64 = 1
        _ = Glibc.write(descriptor.number, &one, MemoryLayout<UInt64>.size)
    }

    /// Reads and resets the counter; 0 when it was not signalled.
    @discardableResult
    public func drain() -> UInt64 { descriptor.takeCount() }
}

/// A timerfd of the monotonic clock: readable after each period.
public final class TimerDescriptor: Sendable {
    private let descriptor: OwnedDescriptor

    /// The descriptor, valid as long as this object lives.
    public var number: Int32 { descriptor.number }

    /// Creates a stopped, non-blocking timer, close-on-exec.
    public init() throws(SystemCallError) {
        let flags = O_CLOEXEC | O_NONBLOCK
        descriptor = OwnedDescriptor(
            owning: try systemCall("timerfd_create") { timerfd_create(CLOCK_MONOTONIC, flags) })
    }

    /// Expires every `period` milliseconds from now on; 0 stops it.
    public func ring(everyMilliseconds period: Int) {
        let time = timespec(tv_sec: period / 1000, tv_nsec: period % 1000 * 1_000_000)
        var setting = itimerspec(it_interval: time, it_value: time)
        timerfd_settime(descriptor.number, 0, &setting, nil)
    }

    /// The number of expirations since the last call.
    @discardableResult
    public func drain() -> UInt64 { descriptor.takeCount() }
}

extension OwnedDescriptor {
    /// Reads and resets an eventfd's or timerfd's counter; 0 when nothing happened.
    func takeCount() -> UInt64 {
        var count: UInt64 = 0
        return Glibc.read(number, &count, MemoryLayout<UInt64>.size) > 0 ? count : 0
    }
}

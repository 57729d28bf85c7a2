import CLinux
import Glibc

/// An eventfd: a counter that wakes whoever waits for its descriptor. The kernel's KVM signals and hears it too (irqfd, ioeventfd).
public final class EventDescriptor: Sendable {
    private let descriptor: OwnedDescriptor

    /// The descriptor, valid as long as this object lives.
    public var number: Int32 { descriptor.number }

    /// Makes one, close-on-exec, that never blocks.
    public init() throws(SystemCallError) {
        let flags = Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)
        descriptor = OwnedDescriptor(owning: try systemCall("eventfd") { eventfd(0, flags) })
    }

    /// Wakes the other side. Async-signal-safe; a counter that is full is signalled already.
    public func signal() {
        var one: UInt64 = 1
        _ = Glibc.write(descriptor.number, &one, MemoryLayout<UInt64>.size)
    }

    /// Takes what was signalled since the last time; 0 when that is nothing.
    @discardableResult
    public func drain() -> UInt64 { descriptor.takeCount() }
}

/// A timerfd of the monotonic clock: readable after each period.
public final class TimerDescriptor: Sendable {
    private let descriptor: OwnedDescriptor

    /// The descriptor, valid as long as this object lives.
    public var number: Int32 { descriptor.number }

    /// Makes one that does not run yet, close-on-exec, that never blocks.
    public init() throws(SystemCallError) {
        let flags = O_CLOEXEC | O_NONBLOCK
        descriptor = OwnedDescriptor(
            owning: try systemCall("timerfd_create") { timerfd_create(CLOCK_MONOTONIC, flags) })
    }

    /// Rings every so many milliseconds from now on; never again for 0.
    public func ring(everyMilliseconds period: Int) {
        let time = timespec(tv_sec: period / 1000, tv_nsec: period % 1000 * 1_000_000)
        var setting = itimerspec(it_interval: time, it_value: time)
        timerfd_settime(descriptor.number, 0, &setting, nil)
    }

    /// How often it rang since the last time this was asked.
    @discardableResult
    public func drain() -> UInt64 { descriptor.takeCount() }
}

extension OwnedDescriptor {
    /// What an eventfd or a timerfd has counted since the last time; 0 when that is nothing.
    func takeCount() -> UInt64 {
        var count: UInt64 = 0
        return Glibc.read(number, &count, MemoryLayout<UInt64>.size) > 0 ? count : 0
    }
}

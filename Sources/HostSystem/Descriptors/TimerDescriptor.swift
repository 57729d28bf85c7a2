import CLinux
import Glibc

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
    public func drain() -> UInt64 {
        var count: UInt64 = 0
        return Glibc.read(descriptor.number, &count, MemoryLayout<UInt64>.size) > 0 ? count : 0
    }
}

import Glibc
import HostSystem
import Synchronization

/// A thread of a device for what may wait, such as the disk: it runs `work` each time the bell is rung. Several rings may become
/// one run; a ring during a run starts another.
final class DeviceThread: Sendable {
    /// Wakes the thread; KVM may ring it too.
    let bell: EventDescriptor
    private let isStopping: Stop
    private let thread: HostThread

    /// What the thread holds on to; it never holds the device.
    private final class Stop: Sendable {
        let isSet = Atomic<Bool>(false)
    }

    /// Starts it. `name` is at most 15 bytes, as `ps` shows it. Throws when the host gives no more threads or descriptors.
    init(name: String, _ work: @escaping @Sendable () -> Void) throws(SystemCallError) {
        let bell = try EventDescriptor()
        let stop = Stop()
        self.bell = bell
        isStopping = stop
        thread = try HostThread(name) {
            var rung = pollfd(fd: bell.number, events: Int16(POLLIN), revents: 0)
            while true {
                _ = poll(&rung, 1, -1)
                bell.drain()
                if stop.isSet.load(ordering: .acquiring) { return }
                work()
            }
        }
    }

    /// Ends the thread after the run it is in, and waits for that. `work` must not be what releases the device.
    deinit {
        isStopping.isSet.store(true, ordering: .releasing)
        bell.signal()
        thread.join()
    }
}

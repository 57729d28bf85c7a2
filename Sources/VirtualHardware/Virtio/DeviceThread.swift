import CLinux
import Glibc
import HostSystem
import Synchronization

/// A thread of a device for what may wait, such as the disk: it runs `work` each time the bell is rung.
///
/// Several rings may become one run; a ring during a run starts another.
final class DeviceThread: Sendable {
    /// Wakes the thread; KVM may ring it too.
    let bell: EventDescriptor

    /// What the thread holds on to; it never holds the device.
    private final class Shared: Sendable {
        let name: String
        let bell: EventDescriptor
        let work: @Sendable () -> Void
        let isStopping = Atomic<Bool>(false)

        init(name: String, bell: EventDescriptor, work: @escaping @Sendable () -> Void) {
            self.name = name
            self.bell = bell
            self.work = work
        }
    }

    private let shared: Shared
    private let thread: Mutex<pthread_t?>

    /// Starts it. `name` is at most 15 bytes, as `ps` shows it. Throws when the host gives no more threads or descriptors.
    init(name: String, _ work: @escaping @Sendable () -> Void) throws(SystemCallError) {
        bell = try EventDescriptor()
        shared = Shared(name: name, bell: bell, work: work)
        thread = Mutex(try Self.start(shared))
    }

    deinit { stop() }

    /// Ends the thread after the run it is in, and waits for that. Safe to repeat, not to be called by `work`.
    func stop() {
        shared.isStopping.store(true, ordering: .releasing)
        bell.signal()
        thread.withLock { thread in
            if let number = thread { pthread_join(number, nil) }
            thread = nil
        }
    }

    private static func start(_ shared: Shared) throws(SystemCallError) -> pthread_t {
        // Signals are for the threads that the machine itself has made.
        var all = sigset_t()
        var former = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &former)
        defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(shared)
        let result = pthread_create(&thread, nil, { DeviceThread.main($0) }, argument.toOpaque())
        guard result == 0 else {
            argument.release()
            throw SystemCallError("pthread_create", errno: result, shared.name)
        }
        return thread
    }

    private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let argument else { return nil }
        let shared = Unmanaged<Shared>.fromOpaque(argument).takeRetainedValue()
        vmlab_name_thread(shared.name)
        var rung = pollfd(fd: shared.bell.number, events: Int16(POLLIN), revents: 0)
        while true {
            _ = poll(&rung, 1, -1)
            shared.bell.drain()
            if shared.isStopping.load(ordering: .acquiring) { return nil }
            shared.work()
        }
    }
}

import CLinux
import Glibc
import HostSystem

/// Signals of this process as reactor events, so that a machine ends in order. Nothing runs in a signal handler.
final class SignalPort: Sendable {
    /// The signals that request termination.
    static let ending = [SIGINT, SIGTERM, SIGHUP]

    private let descriptor: OwnedDescriptor
    private let reactor: Reactor
    private let watch: Reactor.Watch

    /// Delivers these signals on the reactor's thread; a signal that was ignored (by nohup) stays ignored. They are blocked in the
    /// calling thread and threads it starts later: call this before there are others.
    init(
        _ numbers: [Int32] = ending, reactor: Reactor, _ handler: @escaping @Sendable (Int32) -> Void
    ) throws(SystemCallError) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in numbers { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let flags = Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK)
        let descriptor = OwnedDescriptor(owning: try systemCall("signalfd") { signalfd(-1, &set, flags) })
        let file = descriptor.number
        watch = try reactor.watch(file) { _ in
            var info = signalfd_siginfo()
            while read(file, &info, MemoryLayout<signalfd_siginfo>.size) > 0 { handler(Int32(info.ssi_signo)) }
        }
        self.descriptor = descriptor
        self.reactor = reactor
    }

    deinit { reactor.unwatch(watch) }
}

import CLinux
import Glibc

/// Signals as something to read (signalfd), for programs of plain threads.
public final class SignalDescriptor: Sendable {
    private let descriptor: OwnedDescriptor

    /// The descriptor, readable when one of the signals has come; valid as long as this object lives.
    public var number: Int32 { descriptor.number }

    /// Blocks the signals on this thread, and so on those it starts from now on, and makes them readable instead.
    public init(_ signals: [Int32]) throws(SystemCallError) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        descriptor = OwnedDescriptor(
            owning: try systemCall("signalfd") {
                signalfd(-1, &set, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
            })
    }

    /// Takes what has come.
    public func drain() {
        var information = signalfd_siginfo()
        while Glibc.read(descriptor.number, &information, MemoryLayout<signalfd_siginfo>.size) > 0 {}
    }
}

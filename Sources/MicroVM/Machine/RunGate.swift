import Glibc
import HostSystem
import KVM

/// Lets all vCPUs of a machine run, pauses them, or ends them. A vCPU passes it after each requested exit.
final class RunGate: Sendable {
    enum Command: Sendable {
        case run, hold, end
    }

    private struct State {
        var command = Command.hold
        var held = 0
    }

    private struct Runner: Sendable {
        let thread: HostThread
        let kicker: VCPU.Kicker
    }

    private let state = Monitor(State())
    private let runners = Monitor<[Runner]>([])

    /// The kick signal, which makes a thread exit the guest; its handler does nothing. One of the numbers without a standard
    /// meaning, because the handler is process-wide. (`KVMProbe` uses the number before it.)
    static let kick = __libc_current_sigrtmin() + 6

    /// Installs the handler, so that the kick interrupts system calls instead of ending the process.
    static func prepareSignal() throws(SystemCallError) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        try systemCall("sigaction") { sigaction(kick, &action, nil) }
    }

    /// First on a vCPU's thread: its inherited mask may block everything, as on threads of Swift's pool, and then a vCPU in `hlt`
    /// or in a loop could not be interrupted.
    static func admitSignal() {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, kick)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    /// Registers a vCPU's thread, which first calls `pass`.
    func add(_ thread: HostThread, _ kicker: VCPU.Kicker) {
        runners.withLock { $0.append(Runner(thread: thread, kicker: kicker)) }
    }

    /// On a vCPU's thread: waits until it may enter the guest. False when it must end.
    func pass() -> Bool {
        state.withLock { $0.held += 1 }
        return state.wait { state in
            guard state.command != .hold else { return nil }
            state.held -= 1
            return state.command == .run
        }
    }

    /// Asks all vCPUs to leave the guest; returns at once. May be called on any thread, a vCPU's too.
    func hold() {
        let isNew = state.withLock { state in
            guard state.command == .run else { return false }
            state.command = .hold
            return true
        }
        if isNew { kickAll() }
    }

    /// Asks all vCPUs to leave the guest and waits until they have; not on a vCPU's thread.
    func holdAndWait() {
        hold()
        let count = runners.read(\.count)
        // A kick may arrive just before a thread enters the guest; immediate_exit catches most, repetition the rest.
        while state.wait(milliseconds: 10, { $0.held >= count ? true : nil }) == nil { kickAll() }
    }

    var isOpen: Bool { state.read { $0.command == .run } }

    func run() {
        for runner in runners.read({ $0 }) { runner.kicker.allow() }
        state.withLock { if $0.command == .hold { $0.command = .run } }
    }

    /// Ends all vCPUs for good and waits for their threads; not on a vCPU's thread.
    func end() {
        state.withLock { $0.command = .end }
        kickAll()
        for runner in runners.read({ $0 }) { runner.thread.join() }
    }

    private func kickAll() {
        for runner in runners.read({ $0 }) {
            runner.kicker.stop()
            runner.thread.signal(Self.kick)
        }
    }
}

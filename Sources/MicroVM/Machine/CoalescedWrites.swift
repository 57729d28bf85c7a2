import HostSystem
import KVM
import Synchronization
import VirtualHardware

/// Bytes for serial ports that the kernel collects in a ring instead of leaving the guest for each.
///
/// Only for ports whose driver has shown that it sends by interrupt: having filled the port's FIFO, Linux's reads a register,
/// for which the guest leaves and the bytes before are delivered, in order. A driver that looks before each byte never gets
/// here, for nothing would tell of its last one. As long as an interrupt for more bytes is enabled, `tick` delivers what a
/// driver with other habits leaves.
final class CoalescedWrites: Sendable {
    /// How long a byte may lie in the ring, in milliseconds.
    private static let patience = 10

    private struct State {
        var ports: Set<UInt16> = []
        var isTicking = false
    }

    /// Where it is `tick` that is asked for, on the reactor's thread.
    let timer: TimerDescriptor
    private let ring: CoalescedRing
    private let bus: AddressBus
    private let state = Mutex(State())
    /// The ring is one for all vCPUs: each takes from it before it handles what it left the guest for.
    private let taking = Mutex(())

    init(_ ring: CoalescedRing, bus: AddressBus) throws(SystemCallError) {
        timer = try TimerDescriptor()
        self.ring = ring
        self.bus = bus
    }

    func drain() {
        taking.withLock { _ in ring.take { address, width, value in bus.write(value, at: address, width: width) } }
    }

    /// A port's driver sends by interrupt. Calls `collect` for a port that is new.
    func begin(_ port: UInt16, _ collect: () -> Void) {
        let (isNew, mustTick) = state.withLock { state in
            defer { state.isTicking = true }
            return (state.ports.insert(port).inserted, !state.isTicking)
        }
        if isNew { collect() }
        if mustTick { timer.ring(everyMilliseconds: Self.patience) }
    }

    /// Time has passed; `isSending` says whether any port's driver waits for an interrupt to send more.
    func tick(isSending: () -> Bool) {
        timer.drain()
        drain()
        // Under the lock, so that a driver that begins just now starts the timer after it was stopped, not before.
        state.withLock { state in
            guard !isSending() else { return }
            state.isTicking = false
            timer.ring(everyMilliseconds: 0)
        }
    }

    /// Back to power-on, while all vCPUs are held: calls `stop` for each port.
    func reset(_ stop: (UInt16) -> Void) {
        drain()
        let ports = state.withLock { state in
            defer { state.ports = [] }
            return state.ports
        }
        for port in ports { stop(port) }
    }
}

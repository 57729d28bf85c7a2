import HostSystem
import KVM
import Synchronization
import VirtualHardware

/// Coalesced writes to serial ports: the kernel collects bytes in a ring instead of an exit for each.
///
/// Only for ports whose driver sends by interrupt: after filling the FIFO, Linux's driver reads a register, and that exit delivers
/// the collected bytes in order. A driver that polls before each byte is excluded, because nothing would deliver its last one.
/// While an interrupt for more output is enabled, `tick` delivers what other drivers leave.
final class CoalescedWrites: Sendable {
    /// The longest time of a byte in the ring, in milliseconds.
    private static let patience = 10

    private struct State {
        var ports: Set<UInt16> = []
        var isTicking = false
    }

    /// Requests `tick`, on the reactor's thread.
    let timer: TimerDescriptor
    private let ring: CoalescedRing
    private let bus: AddressBus
    private let state = Mutex(State())
    /// All vCPUs share one ring: each drains it before it handles its exit.
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

    /// Handles the timer; `isSending` returns whether any port's driver sends by interrupt.
    func tick(isSending: () -> Bool) {
        timer.drain()
        drain()
        // Under the lock, so that a driver that starts now starts the timer after the stop, not before.
        state.withLock { state in
            guard !isSending() else { return }
            state.isTicking = false
            timer.ring(everyMilliseconds: 0)
        }
    }

    /// Resets to power-on, while all vCPUs are paused: calls `stop` for each port.
    func reset(_ stop: (UInt16) -> Void) {
        drain()
        let ports = state.withLock { state in
            defer { state.ports = [] }
            return state.ports
        }
        for port in ports { stop(port) }
    }
}

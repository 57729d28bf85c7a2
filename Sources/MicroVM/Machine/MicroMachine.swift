import CKVM
import Glibc
import HostSystem
import KVM
import Synchronization
import VirtualHardware

/// One guest's machine: memory, vCPUs, interrupt controllers, and the devices attached to its buses. It is created paused, runs
/// after `run()`, and is released with its last reference after `end()`. All functions are for the reactor's thread unless
/// documented otherwise; guest events are delivered to `onEvent` on a vCPU's thread.
package final class MicroMachine: Sendable {
    package let memory: GuestMemory
    let parts: Mutex<Parts>
    let gate: RunGate
    let runners: [VCPURunner]
    let features: ProcessorFeatures
    /// The model-specific registers that a snapshot keeps.
    let savedRegisters: [UInt32]
    /// In the order in which they were attached.
    let devices: [any StatefulDevice]
    let coalescing: CoalescedWrites?
    private let loader: GuestLoader

    struct Parts: ~Copyable {
        let machine: VirtualMachine
        let controllers: [kvm_irqchip]
        let events: [EventDescriptor]

        /// Sets PICs and IOAPIC, given in this order; the second PIC before the first, which at once latches its pending
        /// interrupts.
        borrowing func setControllers(_ states: [kvm_irqchip]) throws(SystemCallError) {
            for state in states.reversed() { try machine.setInterruptController(state) }
        }
    }

    /// A machine at power-on with the loader's kernel in memory; without `boots`, one with a snapshot's memory, for `restore`.
    package init(
        _ assembly: consuming MachineAssembly, loader: GuestLoader, boots: Bool = true,
        onEvent: @escaping @Sendable (GuestEvent) -> Void
    ) throws {
        memory = assembly.memory
        gate = assembly.gate
        self.loader = loader
        devices = assembly.devices
        savedRegisters = SnapshotRegisters.among(try assembly.system.modelSpecificRegisters())
        var coalescing: CoalescedWrites?
        var runners: [VCPURunner] = []
        let features = try ProcessorFeatures(assembly.system, count: assembly.processors)
        for number in 0..<assembly.processors {
            let vcpu = try assembly.machine.makeVCPU(number)
            try vcpu.setCPUID(features.entries(of: number))
            if number == 0 {
                coalescing = try vcpu.coalescedWrites.map { try CoalescedWrites($0, bus: assembly.ports) }
            }
            runners.append(
                try VCPURunner(
                    vcpu, number: number, gate: gate, ports: assembly.ports, registers: assembly.registers,
                    coalescing: coalescing, onEvent: onEvent))
        }
        self.features = features
        self.runners = runners
        self.coalescing = coalescing
        let controllers = try (0..<UInt32(3)).map { try assembly.machine.interruptController($0) }
        let events = assembly.events
        parts = Mutex(Parts(machine: assembly.takeMachine(), controllers: controllers, events: events))
        try RunGate.prepareSignal()
        if boots { try boot() }
        for runner in runners { try runner.start() }
    }

    private func boot() throws {
        let entry = try loader.load(into: memory)
        let tables = ACPITables(cpus: runners.count, virtioDevices: devices.count { $0 is VirtioMMIOTransport })
        try memory.write(tables.bytes, at: MachineLayout.acpiTables.lowerBound)
        try runners[0].withVCPU { try StartState.apply(entry, to: $0, memory: memory) }
    }

    package var exitCount: UInt64 { runners.reduce(0) { $0 + $1.exitCount } }

    package var threadIDs: [Int32] { runners.map(\.threadID) }

    package func run() { gate.run() }

    /// Whether no pause is requested, neither by the host nor by the guest.
    package var isRunning: Bool { gate.isOpen }

    /// Requests a pause of the vCPUs; may be called on any thread, including a vCPU's.
    package func holdSoon() { gate.hold() }

    /// Pauses the vCPUs; returns when all are paused.
    package func hold() { gate.holdAndWait() }

    /// Tells kvm-clock that the guest was stopped on purpose; call it before `run` after `hold`.
    package func noteClockWasStopped() {
        for runner in runners { runner.withVCPU { $0.noteClockWasStopped() } }
    }

    /// Coalesces writes to the serial port whose data register is at this I/O port. May be called repeatedly on a vCPU's thread.
    package func coalesceWrites(toPort port: UInt64) {
        let port = UInt16(truncatingIfNeeded: port)
        coalescing?.begin(port) {
            // Without support each byte is an exit, as before.
            _ = try? parts.withLock { try $0.machine.coalesceWrites(toPort: port) }
        }
    }

    /// Delivers coalesced bytes that have waited long enough, on the reactor's thread while the machine lives; `isSending` returns
    /// whether any port's driver sends by interrupt.
    package func watchCoalescedWrites(
        _ reactor: Reactor, isSending: @escaping @Sendable () -> Bool
    ) throws(SystemCallError) {
        guard let coalescing else { return }
        _ = try reactor.watch(coalescing.timer.number) { [weak self] _ in self?.coalescing?.tick(isSending: isSending) }
    }

    /// Resets to power-on: empty memory, devices and vCPUs as new, the kernel loaded again. The vCPUs stay paused.
    package func reset() throws {
        gate.holdAndWait()
        coalescing?.reset { port in
            _ = try? parts.withLock { try $0.machine.stopCoalescingWrites(toPort: port) }
        }
        for device in devices { device.reset() }
        try memory.clear()
        try parts.withLock { parts in
            try parts.setControllers(parts.controllers)
        }
        for runner in runners { try runner.reset() }
        try boot()
    }

    /// Ends the vCPU threads. The machine cannot run again.
    package func end() { gate.end() }
}

package enum GuestEvent: Sendable, Hashable {
    case poweredOff
    /// A guest reset: by the keyboard controller, ACPI's reset register, or a triple fault.
    case reset(by: ResetCause)
    /// The guest reported a kernel panic; it continues to run.
    case panicked
    /// A fatal vCPU error, with its reason.
    case failed(String)

    package enum ResetCause: String, Sendable, Hashable {
        case keyboardController = "keyboard controller"
        case resetRegister = "reset register"
        case tripleFault = "triple fault"
    }
}

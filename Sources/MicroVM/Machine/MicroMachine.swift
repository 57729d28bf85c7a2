import CKVM
import Glibc
import HostSystem
import KVM
import Synchronization
import VirtualHardware

/// One guest's machine: memory, processors, interrupt controllers, and whatever devices were put on its buses.
///
/// It is built held, runs after `run()`, and is released with its last reference after `end()`. All functions are for one
/// thread, the reactor's, unless they say otherwise; what the guest does is told to `onEvent` on a processor's thread.
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

        /// Sets both PICs and the IOAPIC, given in this order. The second PIC goes before the first, which at once hears from
        /// what was pending in it, and never forgets that.
        borrowing func setControllers(_ states: [kvm_irqchip]) throws(SystemCallError) {
            for state in states.reversed() { try machine.setInterruptController(state) }
        }
    }

    /// A machine as at power-on with the loader's kernel in memory; without `boots`, one whose memory is a snapshot's, for
    /// `restore`.
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

    /// How often the processors have left the guest for us.
    package var exitCount: UInt64 { runners.reduce(0) { $0 + $1.exitCount } }

    package var threadIDs: [Int32] { runners.map(\.threadID) }

    package func run() { gate.run() }

    /// Whether nothing has asked the processors to hold, the guest neither.
    package var isRunning: Bool { gate.isOpen }

    /// Asks the processors to hold; may be called on any thread, a processor's too.
    package func holdSoon() { gate.hold() }

    /// Holds the processors; returns when all are held.
    package func hold() { gate.holdAndWait() }

    /// Tells the guest's clock that it was stopped on purpose; before `run` after `hold`.
    package func noteClockWasStopped() {
        for runner in runners { runner.withVCPU { $0.noteClockWasStopped() } }
    }

    /// Lets the kernel collect bytes for the serial port whose data register is at this I/O port. May be called on a vCPU's
    /// thread, again and again.
    package func coalesceWrites(toPort port: UInt64) {
        let port = UInt16(truncatingIfNeeded: port)
        coalescing?.begin(port) {
            // Where the kernel refuses, the guest leaves for each byte as before.
            _ = try? parts.withLock { try $0.machine.coalesceWrites(toPort: port) }
        }
    }

    /// Delivers collected bytes that have waited long enough, on the reactor's thread while the machine lives; `isSending` says
    /// whether any port's driver waits for an interrupt to send more.
    package func watchCoalescedWrites(
        _ reactor: Reactor, isSending: @escaping @Sendable () -> Bool
    ) throws(SystemCallError) {
        guard let coalescing else { return }
        _ = try reactor.watch(coalescing.timer.number) { [weak self] _ in self?.coalescing?.tick(isSending: isSending) }
    }

    /// Back to power-on: empty memory, devices and processors as new, the kernel loaded again. The processors stay held.
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

    /// Ends the processors' threads. The machine does not run again.
    package func end() { gate.end() }
}

/// What happens to a machine by its guest's doing.
package enum GuestEvent: Sendable, Hashable {
    case poweredOff
    /// The guest reset it: by the keyboard controller, ACPI's reset register, or a triple fault.
    case reset(by: ResetCause)
    /// The guest said that its kernel panicked; it runs on.
    case panicked
    /// A processor cannot go on: why.
    case failed(String)

    package enum ResetCause: String, Sendable, Hashable {
        case keyboardController = "keyboard controller"
        case resetRegister = "reset register"
        case tripleFault = "triple fault"
    }
}

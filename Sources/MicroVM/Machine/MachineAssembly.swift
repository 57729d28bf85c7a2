import Glibc
import HostSystem
import KVM
import VirtualHardware

/// A machine under construction: memory and interrupt controllers exist, devices are attached to its buses, vCPUs come last.
package struct MachineAssembly: ~Copyable {
    let system: KVMSystem
    let memory: GuestMemory
    let gate = RunGate()
    let processors: Int
    let machine: VirtualMachine
    private(set) var ports = AddressBus()
    private(set) var registers = AddressBus()
    private(set) var events: [EventDescriptor] = []
    private(set) var devices: [any StatefulDevice] = []
    private var virtioDevices = 0

    /// Opens `/dev/kvm` and creates a machine with `memory` bytes of RAM, a multiple of 4096. Throws `AssemblyError` when the
    /// host's KVM lacks a capability, and the kernel's error.
    package static func make(
        memory size: UInt64, processors: Int, backing: GuestMemory.Backing = .memory
    ) throws -> MachineAssembly {
        let system = try KVMSystem.open()
        for capability in Capability.needed where !system.has(capability) {
            throw AssemblyError.lacking(capability)
        }
        let memory = try GuestMemory(ranges: MachineLayout.memoryRanges(size: size), backing: backing)
        let machine = try system.makeVirtualMachine()
        for (slot, region) in memory.regions.enumerated() {
            try machine.setMemory(slot: UInt32(slot), at: region.base, size: region.size, host: region.host)
        }
        if system.has(.taskStateAddress), system.has(.identityMapAddress) {
            try machine.setRealModePages(
                taskState: MachineLayout.taskStateSegment, identityMap: MachineLayout.identityMap)
        }
        try machine.makeInterruptController()
        return MachineAssembly(system: system, memory: memory, machine: machine, processors: processors)
    }

    private init(
        system: consuming KVMSystem, memory: GuestMemory, machine: consuming VirtualMachine, processors: Int
    ) {
        self.system = system
        self.memory = memory
        self.machine = machine
        self.processors = processors
    }

    package mutating func interrupt(_ number: UInt32) throws -> EventDescriptor {
        let event = try EventDescriptor()
        try machine.attachInterrupt(event, to: number)
        events.append(event)
        return event
    }

    package mutating func attach(_ device: any BusDevice, atPorts range: Range<UInt64>) {
        ports.insert(device, at: range)
        if let device = device as? any StatefulDevice { devices.append(device) }
    }

    /// Attaches a virtio device at the next slot. Its doorbells are handled on the device's own thread or on the reactor's.
    package mutating func attach(_ device: any VirtioDevice, reactor: Reactor) throws {
        let number = UInt64(virtioDevices)
        guard virtioDevices < MachineLayout.mostVirtioDevices else { throw AssemblyError.tooManyDevices }
        virtioDevices += 1
        let line = try interrupt(MachineLayout.virtioInterrupt + UInt32(number))
        let transport = VirtioMMIOTransport(device: device, memory: memory, interrupt: line)
        let address = MachineLayout.virtioStart + number * MachineLayout.virtioSize
        registers.insert(transport, at: address..<(address + MachineLayout.virtioSize))
        devices.append(transport)
        for queue in device.queueSizes.indices {
            let doorbell = try device.doorbell(queue: queue) ?? watchedDoorbell(of: transport, queue, reactor)
            try machine.attachDoorbell(doorbell, at: address + VirtioMMIOTransport.notifyOffset, value: UInt32(queue))
            events.append(doorbell)
        }
    }

    private func watchedDoorbell(
        of transport: VirtioMMIOTransport, _ queue: Int, _ reactor: Reactor
    ) throws -> EventDescriptor {
        let doorbell = try EventDescriptor()
        _ = try reactor.watch(doorbell.number) { _ in
            doorbell.drain()
            transport.notify(queue: queue)
        }
        return doorbell
    }

    consuming func takeMachine() -> VirtualMachine { machine }
}

/// Why a machine cannot be created.
struct AssemblyError: Error, CustomStringConvertible {
    let description: String

    static func lacking(_ capability: Capability) -> AssemblyError {
        AssemblyError(description: "this host's KVM lacks \(capability): use a newer kernel")
    }

    static let tooManyDevices = AssemblyError(
        description:
            "a machine has room for \(MachineLayout.mostVirtioDevices) disks, network cards and other virtio devices")
}

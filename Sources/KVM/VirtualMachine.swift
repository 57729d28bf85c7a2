import CKVM
import Glibc
import HostSystem

/// A KVM virtual machine: memory slots, interrupt controllers, vCPUs. Add memory slots before `makeInterruptController`: on some
/// hosts each one added later takes 6 ms more.
public struct VirtualMachine: ~Copyable, Sendable {
    let descriptor: OwnedDescriptor
    let mappingSize: Int
    /// The page index of the coalesced ring in a vCPU's mapping; 0 for none.
    let coalescedRingPage: Int

    init(descriptor: consuming OwnedDescriptor, mappingSize: Int, coalescedRingPage: Int) {
        self.descriptor = descriptor
        self.mappingSize = mappingSize
        self.coalescedRingPage = coalescedRingPage
    }

    /// Sets the four pages below 4 GiB that KVM uses for real mode on Intel.
    public func setRealModePages(taskState: UInt64, identityMap: UInt64) throws(SystemCallError) {
        try kvm(writing: identityMap, "KVM_SET_IDENTITY_MAP_ADDR", descriptor, vmlab_KVM_SET_IDENTITY_MAP_ADDR)
        try kvm("KVM_SET_TSS_ADDR", descriptor, vmlab_KVM_SET_TSS_ADDR, number: UInt(taskState))
    }

    /// Maps memory of this process at a guest-physical address. Addresses and size are multiples of 4096.
    public func setMemory(slot: UInt32, at guest: UInt64, size: UInt64, host: UInt) throws(SystemCallError) {
        let region = kvm_userspace_memory_region(
            slot: slot, flags: 0, guest_phys_addr: guest, memory_size: size, userspace_addr: UInt64(host))
        try kvm(writing: region, "KVM_SET_USER_MEMORY_REGION", descriptor, vmlab_KVM_SET_USER_MEMORY_REGION)
    }

    /// Creates the in-kernel local APICs, IOAPIC and PICs.
    public func makeInterruptController() throws(SystemCallError) {
        try kvm("KVM_CREATE_IRQCHIP", descriptor, vmlab_KVM_CREATE_IRQCHIP)
    }

    /// The state of an in-kernel interrupt controller: 0 and 1 are the PICs, 2 is the IOAPIC.
    public func interruptController(_ chip: UInt32) throws(SystemCallError) -> kvm_irqchip {
        var state = kvm_irqchip()
        state.chip_id = chip
        return try kvm(reading: "KVM_GET_IRQCHIP", descriptor, vmlab_KVM_GET_IRQCHIP, into: state)
    }

    /// Sets the state of the controller that the state names.
    public func setInterruptController(_ state: kvm_irqchip) throws(SystemCallError) {
        try kvm(writing: state, "KVM_SET_IRQCHIP", descriptor, vmlab_KVM_SET_IRQCHIP)
    }

    /// The kvm-clock in nanoseconds; nil where the host does not report it.
    public func clock() throws(SystemCallError) -> UInt64? {
        var data = kvm_clock_data()
        let isKnown = try offered { () throws(SystemCallError) in
            try kvm("KVM_GET_CLOCK", descriptor, vmlab_KVM_GET_CLOCK, &data)
        }
        return isKnown ? data.clock : nil
    }

    /// Sets the kvm-clock. Call it before a vCPU's first entry.
    public func setClock(_ nanoseconds: UInt64) throws(SystemCallError) {
        var data = kvm_clock_data()
        data.clock = nanoseconds
        try kvm(writing: data, "KVM_SET_CLOCK", descriptor, vmlab_KVM_SET_CLOCK)
    }

    /// Creates a vCPU; its number is also its APIC id.
    public func makeVCPU(_ number: Int) throws(SystemCallError) -> VCPU {
        let vcpu = try kvm("KVM_CREATE_VCPU", descriptor, vmlab_KVM_CREATE_VCPU, number: UInt(number))
        return try VCPU(
            descriptor: OwnedDescriptor(owning: vcpu), mappingSize: mappingSize, coalescedRingPage: coalescedRingPage)
    }

    /// Connects an eventfd to an interrupt (irqfd): each signal is one edge.
    public func attachInterrupt(_ event: EventDescriptor, to interrupt: UInt32) throws(SystemCallError) {
        var request = kvm_irqfd()
        request.fd = UInt32(bitPattern: event.number)
        request.gsi = interrupt
        try kvm(writing: request, "KVM_IRQFD", descriptor, vmlab_KVM_IRQFD)
    }

    /// Makes a 32-bit write of `value` to a guest-physical address signal an eventfd (ioeventfd), without an exit to user space.
    public func attachDoorbell(
        _ event: EventDescriptor, at address: UInt64, value: UInt32
    ) throws(SystemCallError) {
        var request = kvm_ioeventfd()
        request.datamatch = UInt64(value)
        request.addr = address
        request.len = 4
        request.fd = event.number
        // KVM_IOEVENTFD_FLAG_DATAMATCH, an enum's shift that Swift does not import.
        request.flags = 1
        try kvm(writing: request, "KVM_IOEVENTFD", descriptor, vmlab_KVM_IOEVENTFD)
    }

    /// Coalesces writes to an I/O port in the ring instead of an exit for each. False without support.
    public func coalesceWrites(toPort port: UInt16) throws(SystemCallError) -> Bool {
        guard coalescedRingPage > 0 else { return false }
        try kvm(
            writing: Self.zone(port), "KVM_REGISTER_COALESCED_MMIO", descriptor, vmlab_KVM_REGISTER_COALESCED_MMIO)
        return true
    }

    /// Ends coalescing of writes to that port. No effect if they are not coalesced.
    public func stopCoalescingWrites(toPort port: UInt16) throws(SystemCallError) {
        guard coalescedRingPage > 0 else { return }
        try kvm(
            writing: Self.zone(port), "KVM_UNREGISTER_COALESCED_MMIO", descriptor, vmlab_KVM_UNREGISTER_COALESCED_MMIO)
    }

    private static func zone(_ port: UInt16) -> kvm_coalesced_mmio_zone {
        var zone = kvm_coalesced_mmio_zone()
        zone.addr = UInt64(port)
        zone.size = 1
        zone.pio = 1
        return zone
    }
}

import CKVM

/// The requests that a machine makes of `/dev/kvm`'s descriptors once it runs, for the sandbox: running and interrupting
/// it, and reading and writing its state for pause, reset and snapshots. None that makes machines, processors, devices or
/// memory.
public enum RunTimeRequests {
    /// Their numbers (linux/kvm.h), the most frequent first.
    public static let all: [UInt32] = processor + machine

    private static let processor: [UInt32] = [
        none(0x80),  // KVM_RUN
        read(0x81, kvm_regs.self), write(0x82, kvm_regs.self),
        read(0x83, kvm_sregs.self), write(0x84, kvm_sregs.self),
        both(0x88, kvm_msrs.self), write(0x89, kvm_msrs.self),
        read(0x8c, kvm_fpu.self), write(0x8d, kvm_fpu.self),
        read(0x8e, kvm_lapic_state.self), write(0x8f, kvm_lapic_state.self),
        both(0x91, kvm_cpuid2.self),
        read(0x98, kvm_mp_state.self), write(0x99, kvm_mp_state.self),
        none(0x9a),  // KVM_NMI
        read(0x9f, kvm_vcpu_events.self), write(0xa0, kvm_vcpu_events.self),
        read(0xa1, kvm_debugregs.self), write(0xa2, kvm_debugregs.self),
        none(0xa2), none(0xa3),  // KVM_SET_TSC_KHZ, KVM_GET_TSC_KHZ
        read(0xa4, kvm_xsave.self), write(0xa5, kvm_xsave.self), read(0xcf, kvm_xsave.self),
        read(0xa6, kvm_xcrs.self), write(0xa7, kvm_xcrs.self),
        none(0xad),  // KVM_KVMCLOCK_CTRL
        write(0xe1, kvm_device_attr.self), write(0xe2, kvm_device_attr.self),  // the offset of the time stamp counter
    ]

    private static let machine: [UInt32] = [
        write(0x61, kvm_irq_level.self), both(0x67, kvm_irq_level.self),
        both(0x62, kvm_irqchip.self), read(0x63, kvm_irqchip.self),
        write(0x76, kvm_irqfd.self), write(0x79, kvm_ioeventfd.self),
        write(0xa5, kvm_msi.self),
        write(0x7b, kvm_clock_data.self), read(0x7c, kvm_clock_data.self),
        read(0x9f, kvm_pit_state2.self), write(0xa0, kvm_pit_state2.self),
        write(0x42, kvm_dirty_log.self),
        write(0x67, kvm_coalesced_mmio_zone.self), write(0x68, kvm_coalesced_mmio_zone.self),
    ]

    // The encoding of asm-generic/ioctl.h: direction, size of the argument, KVM's letter 0xae, number.
    private static func none(_ number: UInt32) -> UInt32 { 0xae << 8 | number }
    private static func write<Argument>(_ number: UInt32, _ type: Argument.Type) -> UInt32 {
        1 << 30 | UInt32(MemoryLayout<Argument>.size) << 16 | none(number)
    }
    private static func read<Argument>(_ number: UInt32, _ type: Argument.Type) -> UInt32 {
        2 << 30 | UInt32(MemoryLayout<Argument>.size) << 16 | none(number)
    }
    private static func both<Argument>(_ number: UInt32, _ type: Argument.Type) -> UInt32 {
        write(number, type) | read(number, type)
    }
}

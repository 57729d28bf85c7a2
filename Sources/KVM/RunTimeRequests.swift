import CKVM

/// The requests that a machine makes of `/dev/kvm`'s descriptors once it runs, for the sandbox: running and interrupting
/// it, and reading and writing its state for pause, reset and snapshots. Each is one that this target makes; none makes
/// machines, processors, devices or memory.
public enum RunTimeRequests {
    /// Their numbers, the most frequent first.
    public static let all: [UInt32] = (processor + machine).map { UInt32(truncatingIfNeeded: $0) }

    private static let processor = [
        vmlab_KVM_RUN,
        vmlab_KVM_GET_REGS, vmlab_KVM_SET_REGS, vmlab_KVM_GET_SREGS, vmlab_KVM_SET_SREGS,
        vmlab_KVM_GET_MSRS, vmlab_KVM_SET_MSRS, vmlab_KVM_GET_FPU, vmlab_KVM_SET_FPU,
        vmlab_KVM_GET_LAPIC, vmlab_KVM_SET_LAPIC, vmlab_KVM_GET_MP_STATE, vmlab_KVM_SET_MP_STATE,
        vmlab_KVM_GET_VCPU_EVENTS, vmlab_KVM_SET_VCPU_EVENTS, vmlab_KVM_GET_DEBUGREGS, vmlab_KVM_SET_DEBUGREGS,
        vmlab_KVM_GET_XSAVE, vmlab_KVM_SET_XSAVE, vmlab_KVM_GET_XCRS, vmlab_KVM_SET_XCRS,
        vmlab_KVM_GET_TSC_KHZ, vmlab_KVM_SET_TSC_KHZ, vmlab_KVM_KVMCLOCK_CTRL,
        // The offset of the time stamp counter.
        vmlab_KVM_GET_DEVICE_ATTR, vmlab_KVM_SET_DEVICE_ATTR,
    ]

    private static let machine = [
        vmlab_KVM_IRQFD, vmlab_KVM_IOEVENTFD, vmlab_KVM_REGISTER_COALESCED_MMIO, vmlab_KVM_UNREGISTER_COALESCED_MMIO,
        vmlab_KVM_GET_IRQCHIP, vmlab_KVM_SET_IRQCHIP, vmlab_KVM_GET_CLOCK, vmlab_KVM_SET_CLOCK,
    ]
}

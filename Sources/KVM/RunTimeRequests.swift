import CKVM

/// The requests that a machine makes of `/dev/kvm`'s descriptors once it runs, for the sandbox: exactly those of running,
/// holding, resetting and saving it. What makes a machine, connects its devices or restores it is over before that.
package enum RunTimeRequests {
    /// Their numbers, the most frequent first.
    package static let all: [UInt32] = requests.map { UInt32(truncatingIfNeeded: $0) }

    private static let requests = [
        vmlab_KVM_RUN,
        // Bytes for a serial port that the kernel collects.
        vmlab_KVM_REGISTER_COALESCED_MMIO, vmlab_KVM_UNREGISTER_COALESCED_MMIO,
        // Where a guest stands that failed; the end of a pause.
        vmlab_KVM_GET_REGS, vmlab_KVM_KVMCLOCK_CTRL,
        // Back to power-on.
        vmlab_KVM_SET_MP_STATE, vmlab_KVM_SET_REGS, vmlab_KVM_GET_SREGS, vmlab_KVM_SET_SREGS, vmlab_KVM_SET_LAPIC,
        vmlab_KVM_SET_VCPU_EVENTS, vmlab_KVM_SET_FPU, vmlab_KVM_SET_MSRS, vmlab_KVM_SET_IRQCHIP,
        // A snapshot.
        vmlab_KVM_GET_MP_STATE, vmlab_KVM_GET_FPU, vmlab_KVM_GET_XSAVE, vmlab_KVM_GET_XCRS, vmlab_KVM_GET_DEBUGREGS,
        vmlab_KVM_GET_LAPIC, vmlab_KVM_GET_VCPU_EVENTS, vmlab_KVM_GET_MSRS, vmlab_KVM_GET_TSC_KHZ,
        vmlab_KVM_GET_IRQCHIP, vmlab_KVM_GET_CLOCK,
    ]
}

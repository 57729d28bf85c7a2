import CKVM

/// The KVM ioctls of a running machine, for the sandbox: exactly those for running, pausing, resetting and saving it. Creating a
/// machine, connecting its devices and restoring it happen before the sandbox.
package enum RunTimeRequests {
    /// Their numbers, the most frequent first.
    package static let all: [UInt32] = requests.map { UInt32(truncatingIfNeeded: $0) }

    private static let requests = [
        vmlab_KVM_RUN,
        // Coalesced writes to a serial port.
        vmlab_KVM_REGISTER_COALESCED_MMIO, vmlab_KVM_UNREGISTER_COALESCED_MMIO,
        // The state of a failed guest; the end of a pause.
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

import CKVM

/// An optional KVM feature (`KVM_CHECK_EXTENSION`).
package struct Capability: RawRepresentable, Sendable, Hashable {
    package let rawValue: UInt
    package init(rawValue: UInt) { self.rawValue = rawValue }

    // Required for a machine.
    /// Guest RAM from the monitor's mappings.
    package static let userMemory = Capability(rawValue: UInt(KVM_CAP_USER_MEMORY))
    /// Interrupt controllers in the kernel.
    package static let interruptController = Capability(rawValue: UInt(KVM_CAP_IRQCHIP))
    /// Interrupts by eventfd.
    package static let interruptDescriptor = Capability(rawValue: UInt(KVM_CAP_IRQFD))
    /// Guest writes that signal an eventfd.
    package static let ioEventDescriptor = Capability(rawValue: UInt(KVM_CAP_IOEVENTFD))
    /// `kvm_run.immediate_exit`, which keeps a vCPU out of its guest.
    package static let immediateExit = Capability(rawValue: UInt(KVM_CAP_IMMEDIATE_EXIT))
    /// `KVM_GET_SUPPORTED_CPUID`.
    package static let extendedCPUID = Capability(rawValue: UInt(KVM_CAP_EXT_CPUID))

    // Optional: each use handles its absence.
    /// The local APIC's TSC-deadline timer; without it guests calibrate the APIC timer themselves.
    package static let tscDeadlineTimer = Capability(rawValue: UInt(KVM_CAP_TSC_DEADLINE_TIMER))
    /// Writes collected in a ring; without it each is an exit. Its value is the ring's page.
    package static let coalescedMMIO = Capability(rawValue: UInt(KVM_CAP_COALESCED_MMIO))
    /// The same for I/O ports.
    package static let coalescedPIO = Capability(rawValue: UInt(KVM_CAP_COALESCED_PIO))
    /// The task state segment for Intel's real mode; not needed elsewhere.
    package static let taskStateAddress = Capability(rawValue: UInt(KVM_CAP_SET_TSS_ADDR))
    /// The identity page table for Intel's real mode; not needed elsewhere.
    package static let identityMapAddress = Capability(rawValue: UInt(KVM_CAP_SET_IDENTITY_MAP_ADDR))
}

extension Capability: CustomStringConvertible {
    /// The kernel's name of a required capability.
    package var description: String {
        switch self {
        case .userMemory: "KVM_CAP_USER_MEMORY"
        case .interruptController: "KVM_CAP_IRQCHIP"
        case .interruptDescriptor: "KVM_CAP_IRQFD"
        case .ioEventDescriptor: "KVM_CAP_IOEVENTFD"
        case .immediateExit: "KVM_CAP_IMMEDIATE_EXIT"
        case .extendedCPUID: "KVM_CAP_EXT_CPUID"
        default: "KVM capability \(rawValue)"
        }
    }

    package static let needed: [Capability] = [
        .userMemory, .interruptController, .interruptDescriptor, .ioEventDescriptor, .immediateExit, .extendedCPUID,
    ]
}

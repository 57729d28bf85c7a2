import CKVM

/// Something that this host's KVM may or may not offer (`KVM_CHECK_EXTENSION`).
package struct Capability: RawRepresentable, Sendable, Hashable {
    package let rawValue: UInt
    package init(rawValue: UInt) { self.rawValue = rawValue }

    // Needed: a machine is not made without them.
    /// RAM that is a mapping of the monitor's.
    package static let userMemory = Capability(rawValue: UInt(KVM_CAP_USER_MEMORY))
    /// Interrupt controllers in the kernel.
    package static let interruptController = Capability(rawValue: UInt(KVM_CAP_IRQCHIP))
    /// Interrupts by eventfd.
    package static let interruptDescriptor = Capability(rawValue: UInt(KVM_CAP_IRQFD))
    /// Writes to a place that signal an eventfd.
    package static let ioEventDescriptor = Capability(rawValue: UInt(KVM_CAP_IOEVENTFD))
    /// `kvm_run.immediate_exit`, which keeps a vCPU out of its guest.
    package static let immediateExit = Capability(rawValue: UInt(KVM_CAP_IMMEDIATE_EXIT))
    /// `KVM_GET_SUPPORTED_CPUID`.
    package static let extendedCPUID = Capability(rawValue: UInt(KVM_CAP_EXT_CPUID))

    // Welcome: what is done without each is said where it is asked for.
    /// The local APIC's TSC-deadline timer; without it guests calibrate the APIC timer themselves.
    package static let tscDeadlineTimer = Capability(rawValue: UInt(KVM_CAP_TSC_DEADLINE_TIMER))
    /// Writes to ports that are collected in a ring; without it each leaves the guest. Its value is the ring's page.
    package static let coalescedMMIO = Capability(rawValue: UInt(KVM_CAP_COALESCED_MMIO))
    /// The same for I/O ports.
    package static let coalescedPIO = Capability(rawValue: UInt(KVM_CAP_COALESCED_PIO))
    /// Where KVM keeps what Intel's real mode needs; needless elsewhere.
    package static let taskStateAddress = Capability(rawValue: UInt(KVM_CAP_SET_TSS_ADDR))
    /// Where KVM keeps the page table of Intel's real mode; needless elsewhere.
    package static let identityMapAddress = Capability(rawValue: UInt(KVM_CAP_SET_IDENTITY_MAP_ADDR))
}

extension Capability: CustomStringConvertible {
    /// The kernel's name of it, for those that a machine needs.
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

    /// All that a machine is not made without.
    package static let needed: [Capability] = [
        .userMemory, .interruptController, .interruptDescriptor, .ioEventDescriptor, .immediateExit, .extendedCPUID,
    ]
}

import CKVM
import HostSystem
import KVM

/// A vCPU's power-on state, saved before its first run and restored at a reset.
struct PowerOnState {
    private let registers: kvm_regs
    private let system: kvm_sregs
    private let localAPIC: kvm_lapic_state
    private let runState: kvm_mp_state

    /// Reads it from a vCPU that has not run yet, and prepares that vCPU: MSRs, floating point, local interrupts.
    init(of vcpu: borrowing VCPU) throws {
        try Self.setLocalInterrupts(vcpu)
        registers = try vcpu.registers()
        system = try vcpu.systemRegisters()
        localAPIC = try vcpu.localAPIC()
        runState = try vcpu.runState()
        try Self.setUp(vcpu)
    }

    func restore(to vcpu: borrowing VCPU) throws {
        try vcpu.setRunState(runState)
        try vcpu.setRegisters(registers)
        try vcpu.setSystemRegisters(system)
        try vcpu.setLocalAPIC(localAPIC)
        try vcpu.clearEvents()
        try Self.setUp(vcpu)
    }

    private static func setUp(_ vcpu: borrowing VCPU) throws {
        var floatingPoint = kvm_fpu()
        // Their values after FNINIT, which the boot protocols leave to us.
        floatingPoint.fcw = 0x37f
        floatingPoint.mxcsr = 0x1f80
        try vcpu.setFloatingPoint(floatingPoint)
        // One by one: registers unknown to the host need no reset.
        for (index, value) in modelSpecificRegisters {
            var entry = kvm_msr_entry()
            entry.index = index
            entry.data = value
            _ = try? vcpu.setModelSpecificRegisters([entry])
        }
    }

    /// Model-specific registers at power-on (Intel SDM volume 4), and KVM's own, by which a guest that is gone has told the
    /// host where in its memory to write.
    private static let modelSpecificRegisters: [(index: UInt32, value: UInt64)] = [
        (0x10, 0),  // IA32_TIME_STAMP_COUNTER
        (0x174, 0), (0x175, 0), (0x176, 0),  // IA32_SYSENTER_CS, ESP, EIP
        (0x1a0, 1),  // IA32_MISC_ENABLE: fast strings
        (0x2ff, 1 << 11 | 6),  // IA32_MTRR_DEF_TYPE: on, write-back
        (0x6e0, 0),  // IA32_TSC_DEADLINE
        (0xc000_0081, 0), (0xc000_0082, 0), (0xc000_0083, 0), (0xc000_0084, 0),  // STAR, LSTAR, CSTAR, FMASK
        (0xc000_0102, 0),  // KERNEL_GS_BASE
        (0x4b56_4d00, 0), (0x4b56_4d01, 0),  // MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW
        (0x4b56_4d02, 0), (0x4b56_4d03, 0), (0x4b56_4d04, 0),  // MSR_KVM_ASYNC_PF_EN, STEAL_TIME, PV_EOI_EN
        (0x4b56_4d05, 1),  // MSR_KVM_POLL_CONTROL: the host polls
        (0x4b56_4d06, 0),  // MSR_KVM_ASYNC_PF_INT
    ]

    /// LINT0 takes the PIC's interrupts, LINT1 is NMI (Intel SDM volume 3, 11.5.1), as firmware leaves them.
    private static func setLocalInterrupts(_ vcpu: borrowing VCPU) throws {
        var state = try vcpu.localAPIC()
        withUnsafeMutableBytes(of: &state) { registers in
            for (offset, mode) in [(0x350, UInt32(7)), (0x360, UInt32(4))] {
                let value = registers.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                registers.storeBytes(of: value & ~0x700 | mode << 8, toByteOffset: offset, as: UInt32.self)
            }
        }
        try vcpu.setLocalAPIC(state)
    }
}

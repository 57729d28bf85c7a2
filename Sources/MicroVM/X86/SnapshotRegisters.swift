/// Which model-specific registers are a part of a snapshot (Intel SDM volume 4, AMD APM volume 2 appendix A, and KVM's own):
/// what a guest writes and relies on. The bases of FS and GS, EFER and the APIC's are among the system registers.
enum SnapshotRegisters {
    private static let ranges: [ClosedRange<UInt32>] = [
        0x10...0x12,  // IA32_TIME_STAMP_COUNTER, MSR_KVM_WALL_CLOCK and MSR_KVM_SYSTEM_TIME
        0x3b...0x3b,  // IA32_TSC_ADJUST
        0x48...0x48,  // IA32_SPEC_CTRL
        0x122...0x122,  // IA32_TSX_CTRL
        0x140...0x140,  // MISC_FEATURE_ENABLES
        0x174...0x176,  // IA32_SYSENTER_CS, ESP, EIP
        0x1a0...0x1a0,  // IA32_MISC_ENABLE
        0x1c4...0x1c5,  // IA32_XFD, IA32_XFD_ERR
        0x1d9...0x1d9,  // IA32_DEBUGCTL
        0x200...0x2ff,  // MTRRs and IA32_PAT
        0x400...0x47f,  // machine check banks
        0x6a0...0x6a8,  // IA32_U_CET, S_CET, PL0_SSP to PL3_SSP and the interrupt table
        0x6e0...0x6e0,  // IA32_TSC_DEADLINE
        0xda0...0xda0,  // IA32_XSS
        0xc000_0081...0xc000_0084,  // STAR, LSTAR, CSTAR, FMASK
        0xc000_0102...0xc000_0103,  // KERNEL_GS_BASE, TSC_AUX
        0xc001_011f...0xc001_011f,  // VIRT_SPEC_CTRL
        0x4b56_4d00...0x4b56_4dff,  // KVM's own
    ]

    /// The host's registers that belong to a snapshot, in the host's order.
    static func among(_ indices: [UInt32]) -> [UInt32] {
        indices.filter { index in ranges.contains { $0.contains(index) } }
    }
}

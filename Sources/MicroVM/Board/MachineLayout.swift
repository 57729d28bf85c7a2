import VirtualHardware

/// The memory map: every guest-physical address, I/O port and interrupt. Below 1 MiB lies boot data and ACPI; RAM ends at 3 GiB and
/// continues at 4 GiB; the registers of devices and interrupt controllers lie in between.
package enum MachineLayout {
    // MARK: Boot data, all below 640 KiB, read once by the guest's first instructions

    /// Global descriptor table of the 64-bit entry (Linux boot protocol: `__BOOT_CS` is 0x10, `__BOOT_DS` 0x18).
    static let descriptorTable: UInt64 = 0x500
    /// An empty interrupt descriptor table.
    static let interruptTable: UInt64 = 0x520
    /// `hvm_start_info` of the PVH entry, with its module and memory map tables behind it.
    static let startInfo: UInt64 = 0x6000
    /// `boot_params`, the zero page of the Linux boot protocol.
    static let zeroPage: UInt64 = 0x7000
    /// The top of the first stack.
    static let stackTop: UInt64 = 0x8ff0
    /// Identity page tables of the 64-bit entry: PML4, one page directory pointer table, four page directories.
    static let pageTables: UInt64 = 0x9000
    /// Kernel command line, NUL-terminated.
    static let commandLine: UInt64 = 0x20000
    /// The longest command line with its NUL, in bytes (`cmdline_size` of x86 Linux is 2047).
    package static let commandLineLimit: UInt64 = 2048
    /// The first address that a PC's firmware keeps for itself (the extended BIOS data area).
    static let lowMemoryEnd: UInt64 = 0x9fc00

    /// ACPI's root pointer, where kernels that were not told look for it too, and all tables behind it.
    static let acpiTables: Range<UInt64> = 0xe0000..<0x100000

    // MARK: RAM

    /// The load address of kernels, where RAM continues after the PC's hole.
    static let highMemoryStart: UInt64 = 0x10_0000
    /// The end of low RAM, where the device hole begins.
    static let holeStart: UInt64 = 0xc000_0000
    static let holeEnd: UInt64 = 0x1_0000_0000

    static func memoryRanges(size: UInt64) -> [Range<UInt64>] {
        size <= holeStart ? [0..<size] : [0..<holeStart, holeEnd..<(holeEnd + (size - holeStart))]
    }

    // MARK: Memory-mapped registers

    /// Registers of virtio device number 0; the next follow, a page each.
    static let virtioStart: UInt64 = 0xd000_0000
    static let virtioSize = VirtioMMIOTransport.size
    /// The IOAPIC that KVM emulates.
    static let ioapic: UInt64 = 0xfec0_0000
    static let localAPIC: UInt64 = 0xfee0_0000
    /// Three pages that KVM needs on Intel processors for real mode, out of the guest's way.
    static let taskStateSegment: UInt64 = 0xfffb_d000
    /// One page that KVM needs there likewise.
    static let identityMap: UInt64 = 0xfffb_c000

    // MARK: I/O ports

    /// COM1, the kernel's console.
    package static let com1: Range<UInt64> = 0x3f8..<0x400
    /// COM2, the command channel.
    package static let com2: Range<UInt64> = 0x2f8..<0x300
    /// The keyboard controller's data and command ports; only its reset line is here.
    package static let keyboardController: Range<UInt64> = 0x60..<0x65
    /// Bochs's debug console: a byte written here is a mark of the guest, recorded with the host's time.
    package static let debugPort: UInt64 = 0x402
    /// pvpanic: the guest reports a kernel panic.
    package static let panicPort: UInt64 = 0x505
    /// ACPI sleep control, sleep status, reset and event status registers (hardware-reduced ACPI), one byte each.
    package static let powerPorts: Range<UInt64> = 0x600..<(0x600 + PowerRegisters.Offset.count)
    /// Sleep control: bits 2 to 4 are the state's `SLP_TYP`, bit 5 enters it (ACPI 6.4, 4.8.3.7).
    static let sleepControl = powerPorts.lowerBound + PowerRegisters.Offset.sleepControl
    /// Sleep status: reads as 0, because no entered state is ever left.
    static let sleepStatus = powerPorts.lowerBound + PowerRegisters.Offset.sleepStatus
    /// The reset register that the FADT names (ACPI 6.4, 4.8.3.6).
    static let reset = powerPorts.lowerBound + PowerRegisters.Offset.reset
    /// The generic event device's pending events: bit 0 is the power button. Reading clears.
    static let eventStatus = powerPorts.lowerBound + PowerRegisters.Offset.eventStatus

    // MARK: Interrupts (GSIs of the IOAPIC, all edge-triggered)

    package static let com1Interrupt: UInt32 = 4
    package static let com2Interrupt: UInt32 = 3
    /// The generic event device (ACPI 6.4, 5.6.9).
    package static let eventInterrupt: UInt32 = 5
    /// The interrupt of virtio device number 0; the next follow.
    static let virtioInterrupt: UInt32 = 6
    /// Virtio devices that find an interrupt: the IOAPIC has 24.
    package static let mostVirtioDevices = 18
}

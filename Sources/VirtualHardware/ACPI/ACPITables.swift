/// ACPI's tables (ACPI 6.4, hardware-reduced) of a machine, ready to be put at `MachineLayout.acpiTables`.
public struct ACPITables: Sendable {
    /// Processors that the MADT can name by local APIC entries.
    public static let mostProcessors = 254

    /// Everything from the root pointer on: RSDP, XSDT, FADT, MADT, DSDT. Addresses in them are absolute.
    public let bytes: [UInt8]

    /// Where the root pointer lies: what `boot_params.acpi_rsdp_addr` and `hvm_start_info.rsdp_paddr` say.
    public var rootPointer: UInt64 { MachineLayout.acpiTables.lowerBound }

    /// Tables of so many processors, whose APIC ids are 0, 1, …, and so many virtio devices, at the places where
    /// `MachineLayout` puts them. Numbers beyond what there can be are brought into range.
    public init(cpus: Int, virtioDevices: Int) {
        let cpus = min(max(cpus, 1), Self.mostProcessors)
        let virtioDevices = min(max(virtioDevices, 0), MachineLayout.mostVirtioDevices)

        // The root pointer comes first; the others follow it bottom up, as each names those before.
        var image = [UInt8](repeating: 0, count: Self.rootPointerSize)
        func place(_ table: SystemTable) -> UInt64 {
            image += [UInt8](repeating: 0, count: (16 - image.count % 16) % 16)
            defer { image += table.bytes }
            return MachineLayout.acpiTables.lowerBound + UInt64(image.count)
        }
        let dsdt = place(DeviceTree(cpus: cpus, virtioDevices: virtioDevices).table)
        let fadt = place(Self.fixedDescription(dsdt: dsdt))
        let madt = place(Self.interruptControllers(cpus: cpus))
        let xsdt = place(SystemTable("XSDT", revision: 1, AML.littleEndian(fadt) + AML.littleEndian(madt)))
        image.replaceSubrange(0..<Self.rootPointerSize, with: Self.rootPointer(xsdt: xsdt))
        bytes = image
    }

    private static let rootPointerSize = 36

    /// 5.2.5.3, revision 2: the first 20 bytes have a checksum of their own, for ACPI 1.0.
    private static func rootPointer(xsdt: UInt64) -> [UInt8] {
        var pointer = SystemTable.ascii("RSD PTR ", 8) + [0] + SystemTable.maker
        pointer += [2] + AML.littleEndian(UInt32(0))
        pointer += AML.littleEndian(UInt32(rootPointerSize)) + AML.littleEndian(xsdt) + [0, 0, 0, 0]
        pointer[8] = SystemTable.checksum(pointer[..<20])
        pointer[32] = SystemTable.checksum(pointer)
        return pointer
    }

    /// FADT (5.2.9): the registers of `PowerRegisters`, and what a PC would have that is not here.
    private static func fixedDescription(dsdt: UInt64) -> SystemTable {
        let flags: UInt32 =
            1 << 0  // WBINVD works
            | 1 << 4 | 1 << 5  // power and sleep buttons are no fixed registers
            | 1 << 10  // RESET_REG_SUP
            | 1 << 20  // HW_REDUCED_ACPI
        let bootArchitecture: UInt16 =
            1 << 2  // VGA not present
            | 1 << 5  // CMOS clock not present; neither is an 8042 keyboard controller (bit 1)
        var table = [UInt8](repeating: 0, count: 276)
        func put(_ bytes: [UInt8], at offset: Int) { table.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
        put(AML.littleEndian(bootArchitecture), at: 109)
        put(AML.littleEndian(flags), at: 112)
        put(PortRegister(port: MachineLayout.reset).bytes, at: 116)
        put([PowerRegisters.resetValue], at: 128)
        put([4], at: 131)  // minor revision: ACPI 6.4
        put(AML.littleEndian(dsdt), at: 140)
        put(PortRegister(port: MachineLayout.sleepControl).bytes, at: 244)
        put(PortRegister(port: MachineLayout.sleepStatus).bytes, at: 256)
        put(SystemTable.ascii("vmlab", 8), at: 268)  // hypervisor vendor
        return SystemTable("FACP", revision: 6, Array(table[SystemTable.headerSize...]))
    }

    /// MADT (5.2.12): local APICs, the IOAPIC, and the non-maskable interrupt at LINT1 of each processor.
    private static func interruptControllers(cpus: Int) -> SystemTable {
        var body = AML.littleEndian(UInt32(truncatingIfNeeded: MachineLayout.localAPIC)) + AML.littleEndian(UInt32(0))
        for number in 0..<cpus {
            let id = UInt8(truncatingIfNeeded: number)
            body += [0, 8, id, id] + AML.littleEndian(UInt32(1))
        }
        body += [1, 12, 0, 0] + AML.littleEndian(UInt32(truncatingIfNeeded: MachineLayout.ioapic))
        body += AML.littleEndian(UInt32(0))
        let allProcessors: UInt8 = 0xff
        body += [4, 6, allProcessors] + AML.littleEndian(UInt16(0)) + [1]
        return SystemTable("APIC", revision: 5, body)
    }
}

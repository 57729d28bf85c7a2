import VirtualHardware

/// The ACPI tables (ACPI 6.4): hardware-reduced, without legacy PC devices that cost boot time.
struct ACPITables: Sendable {
    /// The tables, for `MachineLayout.acpiTables`; the root pointer comes first.
    let bytes: [UInt8]

    init(cpus: Int, virtioDevices: Int) {
        var area = Area()
        let description = area.add(Self.description(virtioDevices: virtioDevices))
        let fixed = area.add(Self.fixed(description: description))
        let interrupts = area.add(Self.interrupts(cpus: cpus))
        let root = area.add(
            Self.table("XSDT", revision: 1, [fixed, interrupts].flatMap { littleEndian($0) }))
        bytes = area.bytes(root: root)
    }

    /// Tables one after the other, behind the root pointer.
    private struct Area {
        private static let rootSize = 36
        private var tables = [UInt8](repeating: 0, count: 64)

        mutating func add(_ table: [UInt8]) -> UInt64 {
            tables += [UInt8](repeating: 0, count: (16 - tables.count % 16) % 16)
            defer { tables += table }
            return MachineLayout.acpiTables.lowerBound + UInt64(tables.count)
        }

        /// The root pointer (5.2.5.3) has two checksums: one of its first 20 bytes, one of all.
        func bytes(root: UInt64) -> [UInt8] {
            var pointer = Array("RSD PTR ".utf8) + [0] + Array("VMLAB ".utf8) + [2] + littleEndian(UInt32(0))
            pointer += littleEndian(UInt32(Self.rootSize)) + littleEndian(root) + [0, 0, 0, 0]
            pointer[8] = checksum(pointer[..<20])
            pointer[32] = checksum(pointer[...])
            return pointer + tables[Self.rootSize...]
        }
    }

    /// A table with its header (5.2.6).
    private static func table(_ signature: String, revision: UInt8, _ content: [UInt8]) -> [UInt8] {
        var table = Array(signature.utf8) + littleEndian(UInt32(36 + content.count)) + [revision, 0]
        table += Array("VMLAB VMLABVMM".utf8) + littleEndian(UInt32(1)) + Array("VMLB".utf8) + littleEndian(UInt32(1))
        table += content
        table[9] = checksum(table[...])
        return table
    }

    /// The checksum that makes the sum of all bytes zero.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt8 { 0 &- bytes.reduce(0, &+) }

    /// FADT (5.2.9): where sleep, reset and the description are, and what a PC has that this machine has not.
    private static func fixed(description: UInt64) -> [UInt8] {
        var content = [UInt8](repeating: 0, count: 276 - 36)
        func put(_ offset: Int, _ value: [UInt8]) {
            content.replaceSubrange((offset - 36)..<(offset - 36 + value.count), with: value)
        }
        /// A byte in I/O space as a generic address (5.2.3.2).
        func port(_ address: UInt64) -> [UInt8] { [1, 8, 0, 1] + littleEndian(address) }
        let noVGA: UInt16 = 1 << 2
        let noClock: UInt16 = 1 << 5
        put(109, littleEndian(noVGA | noClock))
        // No fixed buttons (4, 5), a reset register (10), hardware-reduced (20).
        put(112, littleEndian(UInt32(1 << 4 | 1 << 5 | 1 << 10 | 1 << 20)))
        put(116, port(MachineLayout.reset))
        put(128, [PowerRegisters.Value.reset])
        put(131, [4])
        put(140, littleEndian(description))
        put(244, port(MachineLayout.sleepControl))
        put(256, port(MachineLayout.sleepStatus))
        put(268, Array("VMLAB\0\0\0".utf8))
        return table("FACP", revision: 6, content)
    }

    /// MADT (5.2.12): local APICs, the IOAPIC, and NMI on every LINT1.
    private static func interrupts(cpus: Int) -> [UInt8] {
        var content = littleEndian(UInt32(truncatingIfNeeded: MachineLayout.localAPIC)) + littleEndian(UInt32(0))
        for number in 0..<cpus {
            let id = UInt8(truncatingIfNeeded: number)
            content += [0, 8, id, id] + littleEndian(UInt32(1))
        }
        content +=
            [1, 12, 0, 0] + littleEndian(UInt32(truncatingIfNeeded: MachineLayout.ioapic)) + littleEndian(UInt32(0))
        content += [4, 6, 0xff, 0, 0, 1]
        return table("APIC", revision: 5, content)
    }

    /// DSDT: devices and how to switch off.
    private static func description(virtioDevices: Int) -> [UInt8] {
        let code = AML { aml in
            aml.define("_S5", package: [UInt64(PowerRegisters.Value.softOff), 0, 0, 0])
            aml.scope("\\_SB") { aml in
                serialPort(&aml, "COM1", 1, MachineLayout.com1, MachineLayout.com1Interrupt)
                serialPort(&aml, "COM2", 2, MachineLayout.com2, MachineLayout.com2Interrupt)
                for number in 0..<UInt64(virtioDevices) {
                    aml.device("V" + (number < 10 ? "0" : "") + String(number)) { aml in
                        aml.define("_HID", text: "LNRO0005")
                        aml.define("_UID", number)
                        aml.define("_CCA", 1)
                        aml.resources([
                            .registers(
                                at: MachineLayout.virtioStart + number * MachineLayout.virtioSize,
                                size: MachineLayout.virtioSize),
                            .interrupt(MachineLayout.virtioInterrupt + UInt32(number)),
                        ])
                    }
                }
                aml.device("PWRB") { aml in aml.define("_HID", identifier: "PNP0C0C") }
                aml.device("PANC") { aml in
                    aml.define("_HID", text: "QEMU0001")
                    aml.resources([.ports(MachineLayout.panicPort..<(MachineLayout.panicPort + 1))])
                }
                // The generic event device (5.6.9): its interrupt says that the event status is worth reading.
                aml.device("GED") { aml in
                    aml.define("_HID", text: "ACPI0013")
                    aml.define("_UID", 0)
                    aml.resources([.interrupt(MachineLayout.eventInterrupt)])
                    aml.portField("EVST", region: "EREG", port: MachineLayout.eventStatus)
                    aml.method("_EVT", arguments: 1) { aml in
                        aml.notify(
                            "PWRB", 0x80, ifField: "EVST", has: UInt64(PowerRegisters.Value.powerButton))
                    }
                }
            }
        }
        return table("DSDT", revision: 2, code.bytes)
    }

    private static func serialPort(
        _ aml: inout AML, _ name: String, _ number: UInt64, _ ports: Range<UInt64>, _ interrupt: UInt32
    ) {
        aml.device(name) { aml in
            aml.define("_HID", identifier: "PNP0501")
            aml.define("_UID", number)
            aml.resources([.ports(ports), .interrupt(interrupt)])
        }
    }
}

/// The DSDT: which devices there are, for a guest that cannot look for them itself.
struct DeviceTree {
    let cpus: Int
    let virtioDevices: Int

    var table: SystemTable { SystemTable("DSDT", revision: 2, body.flatMap { $0 }) }

    private var body: [AML.Term] {
        let off = AML.integer(UInt64(PowerRegisters.softOff))
        let devices =
            (0..<cpus).map(processor)
            + [
                serialPort("COM1", number: 0, MachineLayout.com1, MachineLayout.com1Interrupt),
                serialPort("COM2", number: 1, MachineLayout.com2, MachineLayout.com2Interrupt),
            ]
            + (0..<virtioDevices).map(virtio)
            + [panic, powerButton, eventDevice]
        return [
            AML.name("\\_S5_", AML.package(of: [off, AML.integer(0), AML.integer(0), AML.integer(0)])),
            AML.scope("\\_SB_", devices),
        ]
    }

    private func processor(_ number: Int) -> AML.Term {
        AML.device(
            named("C", number),
            [AML.name("_HID", AML.string("ACPI0007")), AML.name("_UID", AML.integer(UInt64(number)))])
    }

    private func serialPort(_ name: String, number: UInt64, _ ports: Range<UInt64>, _ interrupt: UInt32) -> AML.Term {
        AML.device(
            name,
            [
                AML.name("_HID", AML.eisaID("PNP0501")), AML.name("_UID", AML.integer(number)),
                AML.name("_DDN", AML.string(name)),
                AML.name(
                    "_CRS",
                    Resource.template([
                        .ports(ports.lowerBound, count: UInt8(truncatingIfNeeded: ports.count)),
                        .isaInterrupt(interrupt),
                    ])),
            ])
    }

    /// Linux finds them in the order of this table: the first disk is `vda`.
    private func virtio(_ number: Int) -> AML.Term {
        let address = MachineLayout.virtioStart + UInt64(number) * MachineLayout.virtioSize
        let interrupt = MachineLayout.virtioInterrupt + UInt32(truncatingIfNeeded: number)
        return AML.device(
            named("V", number),
            [
                AML.name("_HID", AML.string("LNRO0005")), AML.name("_UID", AML.integer(UInt64(number))),
                // DMA is coherent.
                AML.name("_CCA", AML.integer(1)),
                AML.name(
                    "_CRS",
                    Resource.template([.memory(address, size: MachineLayout.virtioSize), .interrupt(interrupt)])
                ),
            ])
    }

    private var panic: AML.Term {
        AML.device(
            "PANC",
            [
                AML.name("_HID", AML.string("QEMU0001")),
                // Present, enabled and working, but nothing that a user would like to see.
                AML.name("_STA", AML.integer(0x0b)),
                AML.name("_CRS", Resource.template([.ports(MachineLayout.panicPort, count: 1)])),
            ])
    }

    private var powerButton: AML.Term {
        AML.device("PWRB", [AML.name("_HID", AML.eisaID("PNP0C0C")), AML.name("_UID", AML.integer(0))])
    }

    /// The generic event device (5.6.9): its interrupt makes the guest run `_EVT`, which asks our register what it was.
    private var eventDevice: AML.Term {
        let button = AML.integer(UInt64(PowerRegisters.powerButton))
        return AML.device(
            "GED_",
            [
                AML.name("_HID", AML.string("ACPI0013")), AML.name("_UID", AML.integer(0)),
                AML.name("_CRS", Resource.template([.interrupt(MachineLayout.eventInterrupt)])),
                AML.portRegion("EVTR", at: MachineLayout.eventStatus, count: 1),
                AML.byteFields(of: "EVTR", [("EVTS", 8)]),
                AML.serializedMethod(
                    "_EVT", arguments: 1,
                    [
                        // Reading clears it: read once.
                        AML.store(AML.path("EVTS"), AML.local0),
                        AML.when(AML.and(AML.local0, button), [AML.notify("\\_SB_.PWRB", 0x80)]),
                    ]),
            ])
    }

    private func named(_ letter: Character, _ number: Int) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return String(letter) + String(repeating: "0", count: max(3 - digits.count, 0)) + digits
    }
}

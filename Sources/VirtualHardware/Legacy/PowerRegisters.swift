import Synchronization

/// ACPI's registers of a hardware-reduced machine: sleep control and status (ACPI 6.4, 4.8.3.7), reset (4.8.3.6), and the
/// event status that the generic event device's method reads. They lie at `MachineLayout.powerPorts`.
public final class PowerRegisters: BytePorts {
    /// `SLP_TYP` of soft off, which the DSDT's `\_S5` names.
    static let softOff: UInt8 = 5
    /// What the FADT tells to write into the reset register.
    static let resetValue: UInt8 = 1
    /// Event status: the power button was pressed.
    static let powerButton: UInt8 = 1 << 0

    private static let sleepEnable: UInt8 = 1 << 5
    private static let sleepTypeShift: UInt8 = 2

    private let events = Mutex<UInt8>(0)
    private let interrupt: any InterruptLine
    private let onPowerOff: @Sendable () -> Void
    private let onReset: @Sendable () -> Void

    /// `interrupt` is the generic event device's line. The calls come on the vCPU's thread that asked for it.
    public init(
        interrupt: any InterruptLine, onPowerOff: @escaping @Sendable () -> Void,
        onReset: @escaping @Sendable () -> Void
    ) {
        self.interrupt = interrupt
        self.onPowerOff = onPowerOff
        self.onReset = onReset
    }

    /// Presses the power button: a guest with a driver for it powers itself off. May be called on any thread.
    public func pressPowerButton() {
        events.withLock { $0 |= Self.powerButton }
        interrupt.signal()
    }

    func readPort(_ offset: UInt64) -> UInt8 {
        guard offset < UInt64(MachineLayout.powerPorts.count) else { return 0xff }
        guard MachineLayout.powerPorts.lowerBound + offset == MachineLayout.eventStatus else { return 0 }
        return events.withLock { events in
            defer { events = 0 }
            return events
        }
    }

    func writePort(_ value: UInt8, _ offset: UInt64) {
        guard offset < UInt64(MachineLayout.powerPorts.count) else { return }
        switch MachineLayout.powerPorts.lowerBound + offset {
        case MachineLayout.sleepControl:
            let type = value >> Self.sleepTypeShift & 0x7
            if value & Self.sleepEnable != 0 && type == Self.softOff { onPowerOff() }
        case MachineLayout.reset where value == Self.resetValue:
            onReset()
        default: break
        }
    }
}

import Synchronization

/// Ports that always read as the same value, and of which only what is written matters.
package final class WritePort: BusDevice {
    private let value: UInt64
    private let onWrite: @Sendable (_ value: UInt64, _ offset: UInt64) -> Void

    private init(reading value: UInt64, _ onWrite: @escaping @Sendable (UInt64, UInt64) -> Void) {
        self.value = value
        self.onWrite = onWrite
    }

    package func read(at offset: UInt64, width: Int) -> UInt64 { value }

    package func write(_ value: UInt64, at offset: UInt64, width: Int) { onWrite(value, offset) }

    // What these are given is called on the processor's thread and must not block.

    /// The keyboard controller's ports, of which only the reset line is here: Linux pulls it with `reboot=k`, command 0xfe to
    /// port 0x64. There is nothing to read and room to write, so a driver that looks for a keyboard gives up at once.
    package static func keyboardController(onReset: @escaping @Sendable () -> Void) -> WritePort {
        WritePort(reading: 0) { value, offset in
            if offset == 4, value & 0xff == 0xfe { onReset() }
        }
    }

    /// pvpanic (QEMU docs/specs/pvpanic): the guest's kernel reports each panic by bit 0.
    package static func panicDevice(onPanic: @escaping @Sendable () -> Void) -> WritePort {
        WritePort(reading: 1) { value, _ in
            if value & 1 != 0 { onPanic() }
        }
    }

    /// Bochs's debug console, which guests recognize by its read value: each byte written is a mark.
    package static func debugPort(onMark: @escaping @Sendable (UInt8) -> Void) -> WritePort {
        WritePort(reading: 0xe9) { value, _ in onMark(UInt8(truncatingIfNeeded: value)) }
    }
}

/// The registers of hardware-reduced ACPI (ACPI 6.4, 4.8.3.7 and 4.8.3.6) and the status of its generic event device, a byte each.
package final class PowerRegisters: BusDevice {
    /// Where the registers are, in bytes from the first.
    package enum Offset {
        /// Enters a sleep state.
        package static let sleepControl: UInt64 = 0
        package static let sleepStatus: UInt64 = 1
        package static let reset: UInt64 = 2
        package static let eventStatus: UInt64 = 3
        /// How many there are.
        package static let count: UInt64 = 4
    }

    /// The description of these registers for DSDT and FADT.
    package enum Value {
        /// `SLP_TYP` of the state in which a machine is off.
        package static let softOff: UInt8 = 5
        /// What resets, written to the reset register.
        package static let reset: UInt8 = 1
        package static let powerButton: UInt8 = 1
    }

    private static let sleepEnable: UInt64 = 0x20

    private let interrupt: any InterruptLine
    private let onPowerOff: @Sendable () -> Void
    private let onReset: @Sendable () -> Void
    private let events = Mutex<UInt8>(0)

    /// `interrupt` is the generic event device's; both functions are called on the processor's thread and must not block.
    package init(
        interrupt: any InterruptLine, onPowerOff: @escaping @Sendable () -> Void,
        onReset: @escaping @Sendable () -> Void
    ) {
        self.interrupt = interrupt
        self.onPowerOff = onPowerOff
        self.onReset = onReset
    }

    package func pressPowerButton() {
        events.withLock { $0 |= Value.powerButton }
        interrupt.signal()
    }

    package func reset() { events.withLock { $0 = 0 } }

    /// The event status, which reading clears; 0 from all others.
    package func read(at offset: UInt64, width: Int) -> UInt64 {
        guard offset == Offset.eventStatus else { return 0 }
        return events.withLock { events in
            defer { events = 0 }
            return UInt64(events)
        }
    }

    /// Sleep control and reset act on the value's low byte; other registers and values are ignored.
    package func write(_ value: UInt64, at offset: UInt64, width: Int) {
        switch offset {
        case Offset.sleepControl:
            if value & Self.sleepEnable != 0, value >> 2 & 7 == UInt64(Value.softOff) { onPowerOff() }
        case Offset.reset:
            if value & 0xff == UInt64(Value.reset) { onReset() }
        default: break
        }
    }
}

extension PowerRegisters: StatefulDevice {
    package var stateForm: String { "power/1" }

    package func save(to encoder: inout StateEncoder) { encoder.add(events.withLock { $0 }) }

    /// Restores an event status and raises its interrupt again.
    package func restore(from decoder: inout StateDecoder) throws(StateError) {
        let saved: UInt8 = try decoder.number()
        events.withLock { $0 = saved }
        if saved != 0 { interrupt.signal() }
    }
}

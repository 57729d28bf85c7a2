import Synchronization

/// The keyboard controller's ports, of which only the reset line is here: Linux pulls it with `reboot=k`.
public final class KeyboardController: BusDevice {
    private let onReset: @Sendable () -> Void

    /// `onReset` is called on the processor's thread and must not block.
    public init(onReset: @escaping @Sendable () -> Void) { self.onReset = onReset }

    /// Nothing to read and room to write: a driver that looks for a keyboard gives up at once.
    public func read(at offset: UInt64, width: Int) -> UInt64 { 0 }

    /// Command 0xfe pulses the reset line (offset 4 is port 0x64).
    public func write(_ value: UInt64, at offset: UInt64, width: Int) {
        if offset == 4, value & 0xff == 0xfe { onReset() }
    }
}

/// The registers of hardware-reduced ACPI (ACPI 6.4, 4.8.3.7 and 4.8.3.6) and the status of its generic event device, a
/// byte each.
public final class PowerRegisters: BusDevice {
    /// Where the registers are, in bytes from the first.
    public enum Offset {
        /// Enters a sleep state.
        public static let sleepControl: UInt64 = 0
        /// What sleep state was left.
        public static let sleepStatus: UInt64 = 1
        /// Resets the machine.
        public static let reset: UInt64 = 2
        /// Which events there are.
        public static let eventStatus: UInt64 = 3
        /// How many there are.
        public static let count: UInt64 = 4
    }

    /// What DSDT and FADT say of these registers.
    public enum Value {
        /// `SLP_TYP` of the state in which a machine is off.
        public static let softOff: UInt8 = 5
        /// What resets, written to the reset register.
        public static let reset: UInt8 = 1
        /// The power button's bit in the event status.
        public static let powerButton: UInt8 = 1
    }

    private static let sleepEnable: UInt64 = 0x20

    private let interrupt: any InterruptLine
    private let onPowerOff: @Sendable () -> Void
    private let onReset: @Sendable () -> Void
    private let events = Mutex<UInt8>(0)

    /// `interrupt` is the generic event device's; both functions are called on the processor's thread and must not block.
    public init(
        interrupt: any InterruptLine, onPowerOff: @escaping @Sendable () -> Void,
        onReset: @escaping @Sendable () -> Void
    ) {
        self.interrupt = interrupt
        self.onPowerOff = onPowerOff
        self.onReset = onReset
    }

    /// Presses the power button.
    public func pressPowerButton() {
        events.withLock { $0 |= Value.powerButton }
        interrupt.signal()
    }

    /// Back to power-on.
    public func reset() { events.withLock { $0 = 0 } }

    /// The event status, which reading clears; 0 from all others.
    public func read(at offset: UInt64, width: Int) -> UInt64 {
        guard offset == Offset.eventStatus else { return 0 }
        return events.withLock { events in
            defer { events = 0 }
            return UInt64(events)
        }
    }

    /// Sleep control and reset act on the value's low byte; other registers and values are ignored.
    public func write(_ value: UInt64, at offset: UInt64, width: Int) {
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
    /// The event status.
    public var stateForm: String { "power/1" }

    /// Writes the event status down.
    public func save(to encoder: inout StateEncoder) { encoder.add(events.withLock { $0 }) }

    /// Takes over an event status, and tells of it once more.
    public func restore(from decoder: inout StateDecoder) throws(StateError) {
        let saved: UInt8 = try decoder.number()
        events.withLock { $0 = saved }
        if saved != 0 { interrupt.signal() }
    }
}

/// pvpanic: a guest's kernel says that it panicked (QEMU docs/specs/pvpanic).
public final class PanicDevice: BusDevice {
    private let onPanic: @Sendable () -> Void

    /// `onPanic` is called on the processor's thread, for each time that the guest says so, and must not block.
    public init(onPanic: @escaping @Sendable () -> Void) { self.onPanic = onPanic }

    /// The events that we hear: bit 0, the panic.
    public func read(at offset: UInt64, width: Int) -> UInt64 { 1 }

    /// Takes the events that the guest tells: bit 0 is the panic.
    public func write(_ value: UInt64, at offset: UInt64, width: Int) { if value & 1 != 0 { onPanic() } }
}

/// Bochs's debug console: each byte is a mark in the guest's life.
public final class DebugPort: BusDevice {
    private let onMark: @Sendable (UInt8) -> Void

    /// `onMark` gets each byte on the processor's thread and must not block.
    public init(onMark: @escaping @Sendable (UInt8) -> Void) { self.onMark = onMark }

    /// By which guests recognize it.
    public func read(at offset: UInt64, width: Int) -> UInt64 { 0xe9 }

    /// A mark: the value's low byte.
    public func write(_ value: UInt64, at offset: UInt64, width: Int) { onMark(UInt8(truncatingIfNeeded: value)) }
}

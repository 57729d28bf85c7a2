/// What is left of a PC's keyboard controller (ports 0x60 to 0x64): the line that resets the processor.
///
/// No keyboard ever answers, and its status says at once that it has nothing to give and takes everything, so `reboot=k`
/// does not wait. ACPI tells that there is none, so Linux does not look for keyboards.
public final class I8042: BytePorts {
    private enum Port {
        static let systemControl: UInt64 = 1
        static let command: UInt64 = 4
    }

    /// Pulse of output line 0, which is wired to the processor's reset.
    private static let pulseReset: UInt8 = 0xfe
    /// Port 0x61 bit 5, the output of timer channel 2: always over, so that nobody who calibrates by it waits.
    private static let timerOutput: UInt8 = 0x20

    private let onReset: @Sendable () -> Void

    /// `onReset` is called on the vCPU's thread that asked for it, for each time.
    public init(onReset: @escaping @Sendable () -> Void) {
        self.onReset = onReset
    }

    func readPort(_ offset: UInt64) -> UInt8 {
        offset == Port.systemControl ? Self.timerOutput : 0
    }

    func writePort(_ value: UInt8, _ offset: UInt64) {
        if offset == Port.command && value == Self.pulseReset { onReset() }
    }
}

/// pvpanic (QEMU's `docs/specs/pvpanic`): a guest's kernel says that it panicked, whatever its console shows.
public final class PanicDevice: BytePorts {
    /// The one event of the interface that this device knows.
    private static let panicked: UInt8 = 1 << 0

    private let onPanic: @Sendable () -> Void

    /// `onPanic` is called on the vCPU's thread that panicked.
    public init(onPanic: @escaping @Sendable () -> Void) {
        self.onPanic = onPanic
    }

    func readPort(_ offset: UInt64) -> UInt8 { offset == 0 ? Self.panicked : 0xff }

    func writePort(_ value: UInt8, _ offset: UInt64) {
        if offset == 0 && value & Self.panicked != 0 { onPanic() }
    }
}

/// Bochs's and QEMU's debug console: each byte written is a mark in the guest's life. Reads as 0xe9, by which a guest
/// knows that it is there.
public final class DebugPort: BytePorts {
    private static let signature: UInt8 = 0xe9

    private let onByte: @Sendable (UInt8) -> Void

    /// `onByte` is called on the vCPU's thread that wrote: it must not block.
    public init(onByte: @escaping @Sendable (UInt8) -> Void) {
        self.onByte = onByte
    }

    func readPort(_ offset: UInt64) -> UInt8 { offset == 0 ? Self.signature : 0xff }

    func writePort(_ value: UInt8, _ offset: UInt64) {
        if offset == 0 { onByte(value) }
    }
}

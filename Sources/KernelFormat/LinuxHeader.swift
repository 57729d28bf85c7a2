/// The setup header of a Linux `bzImage` for x86-64 (Linux boot protocol 2.12, Documentation/arch/x86/boot.rst).
package struct LinuxHeader: Sendable, Hashable {
    /// Why a bzImage has no such header.
    package enum Problem: String, Error, Sendable, Hashable {
        case cutOff = "the kernel is cut off"
        case noLongEntry = "a kernel without a 64-bit entry"
    }

    /// Where the header is in the file and in the zero page.
    package static let offset = 0x1f1
    /// Bytes of a file up to the last field that is read here.
    package static let least = 0x264
    /// Bytes of a file up to the end of any header.
    package static let most = 0x280
    /// How far behind the beginning of the code its 64-bit entry is.
    package static let entryOffset: UInt64 = 0x200
    /// `HdrS`, at 0x202.
    package static let magic: UInt32 = 0x5372_6448

    /// The header as it is in the file, from `offset` on.
    package let bytes: [UInt8]
    /// Where the protected-mode code begins in the file; it goes to the end.
    package let codeStart: UInt64
    /// Where the code wants to be in memory.
    package let preferredAddress: UInt64
    /// Bytes of memory that the code needs there until it has unpacked itself.
    package let memorySize: UInt64
    /// The highest address that the initial RAM disk may have.
    package let initrdLimit: UInt64
    /// Where the compressed kernel is in the file, if the header is right.
    package let payload: Range<UInt64>

    /// Whether a file that begins so is a bzImage, perhaps one that is cut off.
    package static func isBZImage(_ start: [UInt8]) -> Bool { start.field(0x202, UInt32.self) == magic }

    /// Reads the header at the start of a file, of which `most` bytes count. Nil when that is no bzImage.
    package init?(_ start: [UInt8]) throws(Problem) {
        guard Self.isBZImage(start) else { return nil }
        guard start.count >= Self.least, let version = start.field(0x206, UInt16.self),
            let flags = start.field(0x236, UInt16.self), let preferred = start.field(0x258, UInt64.self),
            let size = start.field(0x260, UInt32.self), let limit = start.field(0x22c, UInt32.self),
            let payloadOffset = start.field(0x248, UInt32.self), let payloadLength = start.field(0x24c, UInt32.self)
        else { throw .cutOff }
        guard version >= 0x20c, flags & 1 == 1 else { throw .noLongEntry }
        let sectors = start[0x1f1]
        codeStart = (UInt64(sectors == 0 ? 4 : sectors) + 1) * 512
        preferredAddress = preferred
        memorySize = UInt64(size)
        initrdLimit = UInt64(limit)
        let payloadStart = codeStart + UInt64(payloadOffset)
        payload = payloadStart..<(payloadStart + UInt64(payloadLength))
        bytes = Array(start[Self.offset..<min(0x202 + Int(start[0x201]), Self.most, start.count)])
    }
}

extension [UInt8] {
    /// The little-endian number of this width at an offset; nil where the bytes end before.
    package func field<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: UInt64, _ type: Value.Type) -> Value? {
        let width = UInt64(MemoryLayout<Value>.size)
        guard offset <= UInt64(count), UInt64(count) - offset >= width else { return nil }
        return withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: Int(offset), as: type)) }
    }
}

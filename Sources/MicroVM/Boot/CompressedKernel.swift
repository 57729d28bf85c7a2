/// A Linux `bzImage`: a setup header, and 64-bit code that unpacks the kernel inside the guest (Linux boot protocol,
/// Documentation/arch/x86/boot.rst).
struct CompressedKernel: Sendable {
    /// The setup header, from offset 0x1f1 of the file.
    let header: [UInt8]
    /// Where the protected-mode code begins in the file, and its length.
    let code: Range<UInt64>
    /// Where it wants to be, and how much memory it needs there until it has unpacked itself.
    let preferredAddress: UInt64
    let memorySize: UInt64
    /// The highest address that its initial RAM disk may have.
    let initrdLimit: UInt64

    /// The offset of the setup header in the file and in the zero page.
    static let headerOffset: UInt64 = 0x1f1
    /// How far behind the beginning of the code its 64-bit entry is.
    static let entryOffset: UInt64 = 0x200

    /// Reads the header. Throws what is wrong with it, or nil when this is no bzImage at all.
    init?(_ file: HostFile) throws(BootError) {
        let start: [UInt8]
        do {
            start = try file.bytes(at: 0, count: 0x280)
        } catch {
            throw .unreadable(error)
        }
        guard start.field(0x202, UInt32.self) == 0x5372_6448 else { return nil }
        func malformed(_ reason: String) -> BootError {
            .malformed(path: file.path, reason: reason, remedy: "give a bzImage of Linux 3.8 or later for x86-64")
        }
        guard let version = start.field(0x206, UInt16.self), version >= 0x20c,
            let flags = start.field(0x236, UInt16.self), flags & 1 == 1
        else { throw malformed("a kernel without a 64-bit entry") }
        guard let sectors = start.field(0x1f1, UInt8.self), let preferred = start.field(0x258, UInt64.self),
            let size = start.field(0x260, UInt32.self), let limit = start.field(0x22c, UInt32.self),
            let length = start.field(0x201, UInt8.self)
        else { throw malformed("the kernel is cut off") }
        let codeStart = (UInt64(sectors == 0 ? 4 : sectors) + 1) * 512
        guard codeStart + Self.entryOffset < file.size else { throw malformed("the kernel is cut off") }
        code = codeStart..<file.size
        preferredAddress = preferred
        memorySize = UInt64(size)
        initrdLimit = UInt64(limit)
        header = Array(start[Int(Self.headerOffset)..<min(0x202 + Int(length), start.count)])
    }
}

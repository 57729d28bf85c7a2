/// The header of an ELF file for x86-64.
public struct ELFHeader: Sendable, Hashable {
    /// What is wrong with an ELF file, such as `an ELF file for another processor`.
    public struct Problem: Error, Sendable, Hashable {
        /// A part of a sentence.
        public let reason: String
    }

    /// What every ELF file begins with.
    public static let magic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]
    /// Bytes of the header.
    public static let size = 64
    /// Bytes of one program header.
    public static let programHeaderSize: UInt64 = 56

    /// Where the program begins.
    public let entry: UInt64
    /// Where the program headers are in the file.
    public let programHeaders: UInt64
    /// How many there are; 0 where they are of another size.
    public let programHeaderCount: UInt64

    /// Reads the header at the start of a file that begins with `magic`. Throws what is wrong with it.
    public init(_ start: [UInt8]) throws(Problem) {
        guard start.count >= Self.size, start.starts(with: Self.magic + [2, 1]) else {
            throw Problem(reason: "an ELF file, but not of 64 bits")
        }
        guard start.field(18, UInt16.self) == 62 else { throw Problem(reason: "an ELF file for another processor") }
        entry = start.field(24, UInt64.self) ?? 0
        programHeaders = start.field(32, UInt64.self) ?? 0
        let hasUsualSize = start.field(54, UInt16.self).map(UInt64.init) == Self.programHeaderSize
        programHeaderCount = hasUsualSize ? UInt64(start.field(56, UInt16.self) ?? 0) : 0
    }
}

/// The header of an ELF file for x86-64.
package struct ELFHeader: Sendable, Hashable {
    /// What is wrong with an ELF file, such as `an ELF file for another processor`.
    package struct Problem: Error, Sendable, Hashable {
        /// A part of a sentence.
        package let reason: String
    }

    /// What every ELF file begins with.
    package static let magic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]
    /// Bytes of the header.
    package static let size = 64
    /// Bytes of one program header.
    package static let programHeaderSize: UInt64 = 56

    /// Where the program begins.
    package let entry: UInt64
    /// Where the program headers are in the file.
    package let programHeaders: UInt64
    /// How many there are; 0 where they are of another size.
    package let programHeaderCount: UInt64

    /// Reads the header at the start of a file that begins with `magic`. Throws what is wrong with it.
    package init(_ start: [UInt8]) throws(Problem) {
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

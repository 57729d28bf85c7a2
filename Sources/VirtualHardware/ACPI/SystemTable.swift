/// A table of ACPI: the header that all share (ACPI 6.4, 5.2.6), and what follows it.
struct SystemTable {
    /// The whole table with its checksum.
    let bytes: [UInt8]

    static let headerSize = 36
    /// Who made the table, as each header says.
    static let maker = ascii("VMLAB", 6)

    /// `body` is what follows the header.
    init(_ signature: String, revision: UInt8, _ body: [UInt8]) {
        var table = Self.ascii(signature, 4)
        table += AML.littleEndian(UInt32(truncatingIfNeeded: Self.headerSize + body.count))
        table += [revision, 0]
        table += Self.maker + Self.ascii("VMLABVMM", 8) + AML.littleEndian(UInt32(1))
        table += Self.ascii("VMLB", 4) + AML.littleEndian(UInt32(1))
        table += body
        table[9] = Self.checksum(table)
        bytes = table
    }

    /// The byte that, where there was 0, makes all bytes add up to 0.
    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt8 { 0 &- bytes.reduce(0, &+) }

    /// Text in so many bytes, filled with blanks.
    static func ascii(_ text: String, _ size: Int) -> [UInt8] {
        let bytes = Array(text.utf8.prefix(size))
        return bytes + [UInt8](repeating: UInt8(ascii: " "), count: size - bytes.count)
    }
}

/// A register as ACPI names it (5.2.3.2): here always one byte at an I/O port.
struct PortRegister {
    let port: UInt64

    var bytes: [UInt8] {
        let systemIO: UInt8 = 1
        let byteAccess: UInt8 = 1
        return [systemIO, 8, 0, byteAccess] + AML.littleEndian(port)
    }
}

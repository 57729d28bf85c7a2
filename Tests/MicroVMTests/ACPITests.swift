import Testing

@testable import MicroVM

@Suite("ACPI tables") struct ACPITests {
    @Test("Every table's length and checksum are right", arguments: [1, 2, 64], [0, 18])
    func checksums(cpus: Int, devices: Int) throws {
        let bytes = ACPITables(cpus: cpus, virtioDevices: devices).bytes
        #expect(bytes.count <= Int(MachineLayout.acpiTables.upperBound - MachineLayout.acpiTables.lowerBound))
        #expect(bytes[..<20].reduce(0, &+) == 0)
        #expect(bytes[..<36].reduce(0, &+) == 0)
        for signature in ["XSDT", "FACP", "APIC", "DSDT"] {
            let table = try #require(Self.table(signature, in: bytes))
            #expect(table.reduce(0, &+) == 0)
        }
    }

    /// A table by its signature at a place where one may be.
    private static func table(_ signature: String, in bytes: [UInt8]) -> [UInt8]? {
        for start in stride(from: 64, to: bytes.count - 36, by: 16)
        where Array(bytes[start..<(start + 4)]) == Array(signature.utf8) {
            let length = (0..<4).reduce(0) { $0 | Int(bytes[start + 4 + $1]) << (8 * $1) }
            return start + length <= bytes.count ? Array(bytes[start..<(start + length)]) : nil
        }
        return nil
    }
}

import Glibc
import HostSystem
import Testing

@testable import VirtualHardware

@Suite("ACPI tables")
struct ACPITests {
    /// The tables of an image by their signatures, found as a guest finds them: from the root pointer on.
    private func tables(_ image: [UInt8]) throws -> [String: [UInt8]] {
        func number(_ bytes: some Collection<UInt8>) -> Int { bytes.reversed().reduce(0) { $0 << 8 | Int($1) } }
        func table(at address: Int) throws -> [UInt8] {
            let start = address - Int(MachineLayout.acpiTables.lowerBound)
            try #require(start >= 36 && start + 8 <= image.count)
            let length = number(image[(start + 4)..<(start + 8)])
            try #require(length >= 36 && start + length <= image.count)
            return Array(image[start..<start + length])
        }
        let xsdt = try table(at: number(image[24..<32]))
        var found = ["XSDT": xsdt]
        for entry in stride(from: 36, to: xsdt.count, by: 8) {
            let table = try table(at: number(xsdt[entry..<(entry + 8)]))
            found[String(decoding: table[..<4], as: UTF8.self)] = table
        }
        let fadt = try #require(found["FACP"])
        found["DSDT"] = try table(at: number(fadt[140..<148]))
        return found
    }

    @Test("Checksums and lengths are right, all is found from the root pointer, and fits", arguments: [1, 2, 16, 254])
    func integrity(cpus: Int) throws {
        let acpi = ACPITables(cpus: cpus, virtioDevices: 18)
        #expect(acpi.bytes.count <= MachineLayout.acpiTables.count)
        #expect(acpi.bytes.starts(with: Array("RSD PTR ".utf8)))
        #expect(acpi.bytes[..<20].reduce(0, &+) == 0)
        #expect(acpi.bytes[..<36].reduce(0, &+) == 0)
        let tables = try tables(acpi.bytes)
        #expect(Set(tables.keys) == ["XSDT", "FACP", "APIC", "DSDT"])
        for (name, table) in tables { #expect(table.reduce(0, &+) == 0, "\(name)") }
        #expect(tables["APIC"]?.count == 36 + 8 + cpus * 8 + 12 + 6)
    }

    @Test("Numbers out of range are brought into it")
    func ranges() {
        #expect(ACPITables(cpus: -5, virtioDevices: -1).bytes == ACPITables(cpus: 1, virtioDevices: 0).bytes)
        #expect(ACPITables(cpus: .max, virtioDevices: .max).bytes == ACPITables(cpus: 254, virtioDevices: 18).bytes)
    }

    @Test("The FADT names the power registers at their ports")
    func fixedDescription() throws {
        let fadt = try #require(try tables(ACPITables(cpus: 1, virtioDevices: 0).bytes)["FACP"])
        #expect(fadt.count == 276)
        #expect(fadt[8] == 6 && fadt[131] == 4)
        #expect(Array(fadt[116..<129]) == [1, 8, 0, 1, 0x02, 0x06, 0, 0, 0, 0, 0, 0, 1])
        #expect(Array(fadt[244..<256]) == [1, 8, 0, 1, 0x00, 0x06, 0, 0, 0, 0, 0, 0])
        #expect(Array(fadt[256..<268]) == [1, 8, 0, 1, 0x01, 0x06, 0, 0, 0, 0, 0, 0])
    }

    @Test("Terms are encoded as the specification says")
    func encoding() {
        #expect(AML.integer(0xff) == [0x0a, 0xff])
        #expect(AML.integer(0x100) == [0x0b, 0x00, 0x01])
        #expect(AML.integer(0x1_0000) == [0x0c, 0, 0, 1, 0])
        #expect(AML.integer(.max) == [0x0e] + [UInt8](repeating: 0xff, count: 8))
        // 19.3.4: EISAID("PNP0501") is 0x0105D041.
        #expect(AML.eisaID("PNP0501") == [0x0c, 0x41, 0xd0, 0x05, 0x01])
        #expect(AML.path("\\_SB_.PCI0.COM1") == [0x5c, 0x2f, 3] + Array("_SB_PCI0COM1".utf8))
        #expect(AML.path("\\_SB.X") == [0x5c, 0x2e] + Array("_SB_X___".utf8))
        for size in [0, 62, 63, 64, 4093, 4094, 4095, 1 << 20] {
            let package = AML.package([UInt8](repeating: 0, count: size))
            let extra = Int(package[0] >> 6)
            var length = Int(package[0] & (extra == 0 ? 0x3f : 0x0f))
            for byte in 0..<extra { length |= Int(package[1 + byte]) << (4 + 8 * byte) }
            #expect(length == package.count)
            #expect(package.count == size + 1 + extra)
        }
    }

    @Test(
        "Intel's compiler reads every table back, and what it made of the DSDT compiles",
        .enabled("iasl is not installed: on Debian `apt-get install acpica-tools`") { Tool.find("iasl") != nil },
        .timeLimit(.minutes(1)), arguments: [1, 16])
    func disassembly(cpus: Int) async throws {
        var template = Array("/tmp/vmlab-acpi-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileTree.remove(folder) }
        for (name, table) in try tables(ACPITables(cpus: cpus, virtioDevices: 3).bytes) {
            let path = "\(folder)/\(name.lowercased())"
            let file = try OwnedDescriptor.open(path + ".dat", O_WRONLY | O_CREAT)
            try #require(write(file.number, table, table.count) == table.count)
            let reading = try await Tool.run("iasl", ["-d", path + ".dat"])
            #expect(reading.status == .exited(0), "\(name): \(reading.text)")
            let said = (reading.text + reading.errors.joined(separator: "\n")).lowercased()
            for trouble in ["error", "warning", "invalid", "checksum"] {
                #expect(!said.contains(trouble), "\(name): \(said)")
            }
        }
        let compiling = try await Tool.run("iasl", ["-p", folder + "/again", folder + "/dsdt.dsl"])
        #expect(compiling.text.contains("0 Errors, 0 Warnings, 0 Remarks"), "\(compiling.text)")
    }
}

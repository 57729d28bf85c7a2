import Glibc
import HostSystem
import LabTestSupport
import Testing

@testable import MicroVM

@Suite("ACPI tables as others read them")
struct ACPIDisassemblyTests {
    @Test(
        "Intel's compiler takes every table apart without a complaint, and what it made of the DSDT compiles again",
        .enabled("iasl is not installed: on Debian `apt-get install acpica-tools`") { Tool.find("iasl") != nil },
        .timeLimit(.minutes(1)), arguments: [1, 16])
    func disassembly(cpus: Int) async throws {
        let tables = try Self.tables(ACPITables(cpus: cpus, virtioDevices: 18).bytes)
        #expect(tables.map(\.name).sorted() == ["APIC", "DSDT", "FACP", "XSDT"])
        try await withTemporaryFolder { folder in
            for (name, table) in tables {
                let file = try OwnedDescriptor.open("\(folder)/\(name).dat", O_WRONLY | O_CREAT)
                try #require(write(file.number, table, table.count) == table.count)
                let reading = try await Tool.run("iasl", ["-d", "\(folder)/\(name).dat"])
                #expect(reading.status == .exited(0), "\(name)")
                let said = reading.text.lowercased() + reading.errors.joined(separator: "\n").lowercased()
                for trouble in ["error", "warning", "invalid", "checksum"] {
                    #expect(!said.contains(trouble), "\(name): \(said)")
                }
            }
            let compiling = try await Tool.run("iasl", ["-p", folder + "/again", folder + "/DSDT.dsl"])
            #expect(compiling.text.contains("0 Errors, 0 Warnings"), "\(compiling.text)")
        }
    }

    /// The tables as a guest finds them: from the root pointer by way of the XSDT and the FADT.
    private static func tables(_ image: [UInt8]) throws -> [(name: String, bytes: [UInt8])] {
        func number(_ bytes: some Collection<UInt8>) -> Int { bytes.reversed().reduce(0) { $0 << 8 | Int($1) } }
        func table(at address: Int) throws -> (name: String, bytes: [UInt8]) {
            let start = address - Int(MachineLayout.acpiTables.lowerBound)
            try #require(start >= 36 && start + 36 <= image.count)
            let length = number(image[(start + 4)..<(start + 8)])
            try #require(length >= 36 && start + length <= image.count)
            return (String(decoding: image[start..<start + 4], as: UTF8.self), Array(image[start..<start + length]))
        }
        let root = try table(at: number(image[24..<32]))
        var found = [root]
        for entry in stride(from: 36, to: root.bytes.count, by: 8) {
            found.append(try table(at: number(root.bytes[entry..<(entry + 8)])))
        }
        let fixed = try #require(found.first { $0.name == "FACP" })
        return found + [try table(at: number(fixed.bytes[140..<148]))]
    }
}

import Diagnostics
import HostSystem
import Testing

@testable import LabSpec

/// The folder of fixtures beside this file.
let fixtures = #filePath.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/Fixtures"

extension LabFile {
    private static let images: Set<String> = ["debian", "wine", "probe"]

    /// Decodes and checks a lab that may name vmlab's own images.
    static func parse(
        _ source: SourceFile, directory: String, settings: [(key: String, value: String)] = [],
        access: HostAccess = .everything, checking: (Lab) -> [Diagnostic] = { _ in [] }
    ) throws(DiagnosticList) -> LabFile {
        try parse(
            source, directory: directory, settings: settings, catalog: images, access: access, checking: checking)
    }

    /// Reads such a lab.
    static func load(path: String) throws(DiagnosticList) -> LabFile { try load(path: path, catalog: images) }
}

/// The lab of a text, with the fixtures' folder as its own.
func lab(_ text: String, _ settings: [(key: String, value: String)] = []) throws(DiagnosticList) -> Lab {
    let file = try LabFile.parse(
        SourceFile(path: "lab.yaml", text: text), directory: fixtures, settings: settings)
    guard let first = file.labs.first else { throw DiagnosticList([Diagnostic(.specification, "no lab")]) }
    return first
}

/// What a text's errors look like; empty when it has none.
func errors(_ text: String, _ settings: [(key: String, value: String)] = []) -> String {
    do {
        _ = try lab(text, settings)
        return ""
    } catch {
        return error.rendered()
    }
}

@Suite struct LabFileTests {
    @Test func productLabDecodes() throws {
        do {
            let file = try LabFile.load(path: fixtures + "/good/mixed-fleet.yaml")
            let lab = try #require(file.labs.first)
            #expect(file.labs.count == 1 && file.warnings.isEmpty)
            #expect(lab.name == "mixed-fleet")
            #expect(lab.guests.count == 10)
            #expect(lab.guests.map(\.name).prefix(2) == ["lin-1", "lin-2"])
            #expect(lab.groups[0].memory == .gibibytes(5))
            #expect(lab.tasks.map(\.name) == ["kernel", "version", "shard"])
            #expect(lab.tasks[0].targets == [.every(["lin-1", "lin-2", "lin-3", "lin-4", "lin-5"])])
            #expect(lab.tasks[0].expect.stdout.map(\.text) == ["^Linux 6\\."])
            let shard = lab.tasks[2]
            #expect(shard.targets == [.any(["lin-1", "lin-2", "lin-3", "lin-4", "lin-5"])])
            #expect(shard.repetitions == 1000 && shard.retries == 1 && shard.needs == ["kernel"])
            #expect(shard.timeout == .seconds(300))
            #expect(shard.env == [EnvironmentVariable("LC_ALL", "C")])
            #expect(shard.put.map(\.guest) == ["/root/work.sh"])
            #expect(shard.put[0].host.hasSuffix("Fixtures/good/../work.sh"))
            #expect(shard.get == ["/root/out"])
        } catch let list as DiagnosticList {
            Issue.record("\(list.rendered())")
        }
    }
}

import Diagnostics
import Foundation
import Testing

@testable import LabSpec

/// Every lab under `Fixtures/bad` against the exact text of its errors. `RECORD_GOLDEN=1` writes the texts anew.
@Suite struct GoldenTests {
    static let names = fixtureNames("bad")

    @Test(arguments: names)
    func badLab(_ name: String) throws {
        let text = try String(contentsOfFile: "\(fixtures)/bad/\(name).yaml", encoding: .utf8)
        let expected = "\(fixtures)/bad/\(name).txt"
        var rendered = ""
        do throws(DiagnosticList) {
            _ = try LabFile.parse(SourceFile(path: "\(name).yaml", text: text), directory: fixtures)
        } catch {
            rendered = error.rendered() + "\n"
        }
        #expect(!rendered.isEmpty, "the lab is good")
        if ProcessInfo.processInfo.environment["RECORD_GOLDEN"] != nil {
            try rendered.write(toFile: expected, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOfFile: expected, encoding: .utf8) == rendered)
    }

    @Test(arguments: fixtureNames("good"))
    func goodLab(_ name: String) throws {
        #expect(throws: Never.self) {
            do throws(DiagnosticList) {
                _ = try LabFile.load(path: "\(fixtures)/good/\(name).yaml")
            } catch {
                Issue.record("\(error.rendered())")
            }
        }
    }
}

/// The names of the labs in a folder of fixtures, without their endings.
func fixtureNames(_ folder: String) -> [String] {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: "\(fixtures)/\(folder)")) ?? []
    return files.filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
}

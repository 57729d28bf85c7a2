import Foundation
import Testing

@testable import LabLogging

@Suite("The labels of the log", .timeLimit(.minutes(1)))
struct LabelTests {
    @Test("The labels that can be chosen are those that the sources use")
    func labels() throws {
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources")
        let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
            .allObjects
        var used: Set<String> = []
        for case let file as URL in files where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            for part in text.components(separatedBy: "Logger(label: \"").dropFirst() {
                used.insert(String(part.prefix { $0 != "\"" }))
            }
        }
        #expect(used.sorted() == LogSelection.labels)
    }
}

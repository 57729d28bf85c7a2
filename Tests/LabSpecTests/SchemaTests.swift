import Foundation
import Testing

@testable import LabSpec

/// The JSON Schema against a validator that is not ours: Python's jsonschema.
@Suite struct SchemaTests {
    /// Output and status of a program found in the path.
    private static func run(_ arguments: [String]) throws -> (output: String, status: Int32) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (String(decoding: bytes, as: UTF8.self), process.terminationStatus)
    }

    /// `make test` makes one that has the validator.
    private static let python = ProcessInfo.processInfo.environment["VMLAB_TEST_PYTHON"] ?? "python3"
    private static let hasValidator = (try? run([python, "-c", "import jsonschema, yaml"]).status) == 0

    /// The labs of this repository that people run.
    private static let ownLabs: [String] = {
        let root = fixtures.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        return ["Labs", "Examples"].flatMap { folder -> [String] in
            let files = FileManager.default.enumerator(atPath: "\(root)/\(folder)")?.compactMap { $0 as? String } ?? []
            return files.filter { $0.hasSuffix(".yaml") }.sorted().map { "\(root)/\(folder)/\($0)" }
        }
    }()

    /// What the validator says of each lab, by path.
    private func verdicts(_ labs: [String]) throws -> [String: String] {
        let schema = FileManager.default.temporaryDirectory.appendingPathComponent("vmlab-schema-\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: schema) }
        try LabSchema.json().write(to: schema, atomically: true, encoding: .utf8)
        let (output, status) = try Self.run([Self.python, "\(fixtures)/validate.py", schema.path] + labs)
        try #require(status == 0, "\(output)")
        var verdicts: [String: String] = [:]
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            let path = words[1].prefix { $0 != ":" }
            verdicts[String(path)] = String(line)
        }
        return verdicts
    }

    @Test(.enabled(if: hasValidator, "python3 has no jsonschema and yaml (pip install jsonschema pyyaml)"))
    func goodLabsValidate() throws {
        let labs = fixtureNames("good").map { "\(fixtures)/good/\($0).yaml" } + Self.ownLabs
        let verdicts = try verdicts(labs)
        for lab in labs { #expect(verdicts[lab]?.hasPrefix("good ") == true, "\(verdicts[lab] ?? lab)") }
    }

    /// Bad labs whose first line is `# structural` have mistakes that a schema can see.
    @Test(.enabled(if: hasValidator, "python3 has no jsonschema and yaml (pip install jsonschema pyyaml)"))
    func structuralMistakesAreSeenByTheSchema() throws {
        let labs = try fixtureNames("bad").map { "\(fixtures)/bad/\($0).yaml" }.filter {
            try String(contentsOfFile: $0, encoding: .utf8).hasPrefix("# structural")
        }
        #expect(labs.count >= 10)
        let verdicts = try verdicts(labs)
        for lab in labs { #expect(verdicts[lab]?.hasPrefix("bad ") == true, "\(verdicts[lab] ?? lab)") }
    }

    @Test func everyKeyIsDescribed() throws {
        let schema = try JSONSerialization.jsonObject(with: Data(LabSchema.json().utf8))
        let definitions = try #require((schema as? [String: Any])?["$defs"] as? [String: Any])
        for (name, definition) in definitions {
            let properties = (definition as? [String: Any])?["properties"] as? [String: Any] ?? [:]
            for (key, property) in properties {
                let text = (property as? [String: Any])?["description"] as? String
                #expect(text?.hasSuffix(".") == true, "\(name).\(key)")
            }
        }
        #expect(
            Set(definitions.keys).isSuperset(of: ["lab", "guest", "defaults", "image", "task", "timeouts", "network"]))
    }
}

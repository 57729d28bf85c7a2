import Diagnostics
import Quantities
import Testing

@testable import LabSpec

/// Who does what a message advises is not refused again.
@Suite struct RemedyTests {
    /// A place in a lab for a value.
    enum Key: String, CaseIterable {
        case memory, imageMemory, disk, outputLimit, task, lab, nat, nested

        func lab(_ value: String) -> String {
            func text(_ key: Key, _ usual: String) -> String { key == self ? value : usual }
            return """
                lab: x
                networks: {net: {nat: \(text(.nat, "true"))}}
                images: {own: {from: debian, memory: \(text(.imageMemory, "256MiB"))}}
                timeouts: {task: \(text(.task, "1m")), lab: \(text(.lab, "1h"))}
                guests:
                  lin:
                    image: own
                    memory: \(text(.memory, "256MiB"))
                    disks: [\(text(.disk, "1GiB"))]
                    nested: \(text(.nested, "false"))
                tasks: [{name: one, run: date, output-limit: \(text(.outputLimit, "1MiB"))}]

                """
        }

        var isSize: Bool { [.memory, .imageMemory, .disk, .outputLimit].contains(self) }
        var isDuration: Bool { [.task, .lab].contains(self) }
    }

    private static let sizes = [
        "0", "00", "0.0", "0MiB", "0GB", "1", "5", "256", "12.5", "0.1", ".5", "1048575", "536870912", "4294967296",
        "1125899906842625", "999999999999999999999", "99999999999GiB", "99999999999GB", "2048TiB", "1B", "512KiB",
        "512kb",
        "5GB", "512 MiB", "-1", "1e9", "1_000", "5XiB", "big", "'256'",
    ]
    private static let durations = [
        "0", "00", "0s", "0m0s", "-5", "7", "007", "90", "1.5h", "90 s", "5min", "400d", "364d48h", "9999999",
        "9999999999",
        "99999999999999999999", "1m1h", "soon", "'30'",
    ]
    private static let truths = [
        "yes", "No", "on", "OFF", "y", "n", "1", "0", "'true'", "\"false\"", "'yes'", "null", "''", "enabled",
    ]

    static let wrong: [(Key, String)] = Key.allCases.flatMap { key in
        (key.isSize ? sizes : key.isDuration ? durations : truths).map { (key, $0) }
    }

    @Test("What a remedy writes in its place is taken", arguments: wrong)
    func following(_ key: Key, _ value: String) {
        for error in errors(key.lab(value)) {
            for remedy in Self.values(in: error.remedy ?? "") {
                if key == .memory { #expect((ByteCount(parsing: remedy) ?? ByteCount(0)) >= .mebibytes(96)) }
                let again = errors(key.lab(remedy)).map(\.message)
                #expect(again.isEmpty, "\(key): \(value): \(error.message) (\(error.remedy ?? ""))")
            }
        }
    }

    @Test("A number is told what it may mean, or how much is too much or too little")
    func numbers() {
        func said(_ key: Key, _ value: String) -> String {
            errors(key.lab(value)).map { "\($0.message) (\($0.remedy ?? ""))" }.joined(separator: "; ")
        }
        #expect(said(.disk, "0") == "a value of `disks` must be at least 1MiB, not `0` (write `1MiB` or more)")
        #expect(said(.imageMemory, "5") == "`memory` needs a unit: `5` of what? (write `5GiB`)")
        #expect(said(.memory, "1") == "`memory` needs a unit: `1` of what? (write `1GiB`)")
        #expect(said(.memory, "0GB") == "`memory` must be a size, not `0GB` (write it as `512MiB` or `5GiB`)")
        #expect(said(.memory, "4294967296") == "`memory` needs a unit: `4294967296` of what? (write `4294967296B`)")
        #expect(
            said(.memory, "999999999999999999999")
                == "`memory` is larger than 1024TiB: `999999999999999999999` (write it as `512MiB` or `5GiB`)")
        #expect(
            said(.task, "0")
                == "`task` must be longer than zero, not `0` (leave it out, or write it as `90s`, `5m` or `1h30m`)")
        #expect(said(.task, "9999999") == "`task` needs a unit: `9999999` of what? (write `9999999s`)")
        #expect(
            said(.lab, "9999999999")
                == "`lab` is longer than a year: `9999999999` (leave it out, or write at most `365d`)")
        #expect(said(.nat, "yes") == "`nat` must be `true` or `false`, not `yes` (write `true`)")
        #expect(said(.nat, "'true'") == "`nat` must be `true` or `false`, not `true` (write `true` without quotes)")
        // How little memory will do is for the image to say.
        #expect(said(.memory, "0").isEmpty && said(.memory, "1MiB").isEmpty)
    }

    @Test(
        "What is copied is a map, which is shown to who writes a list or a path",
        arguments: ["[./a: /b]", "[./a]", "./a"])
    func copies(_ put: String) {
        func said(_ put: String) -> [String] {
            errors("lab: x\nguests: {lin: {image: debian}}\ntasks: [{name: one, put: \(put)}]\n").map {
                "\($0.message) (\($0.remedy ?? ""))"
            }
        }
        #expect(said(put).count == 1 && said(put)[0].hasSuffix(" (write it as `{./file: /root/file}`)"), "\(said(put))")
        #expect(said("{./file: /root/file}").allSatisfy { $0.contains("does not exist") })
    }

    private func errors(_ text: String) -> [Diagnostic] {
        do throws(DiagnosticList) {
            _ = try LabFile.parse(SourceFile(path: "lab.yaml", text: text), directory: "/")
            return []
        } catch {
            return error.all
        }
    }

    /// What is written as code.
    private static func values(in remedy: String) -> [String] {
        remedy.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map {
            String($0.element)
        }
    }
}

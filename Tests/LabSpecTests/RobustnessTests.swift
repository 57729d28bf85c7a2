import Diagnostics
import Foundation
import Glibc
import HostSystem
import Testing

@testable import LabSpec

/// The processor time of this thread: what work costs, however busy the host is.
private var threadTime: Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}

/// Damaged labs: whatever they are, they end as a lab or as diagnostics, soon. `VMLAB_FUZZ=N` tries N times as many.
@Suite struct RobustnessTests {
    private static let effort = ProcessInfo.processInfo.environment["VMLAB_FUZZ"].flatMap(Int.init) ?? 1

    /// A small generator with a seed, so that a failure comes again.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) ^ (state << 31)
        }
    }

    /// Parses and renders bytes as the file `everything.yaml`; the time it took.
    private func digest(_ bytes: [UInt8]) -> Duration {
        let text = String(decoding: bytes, as: UTF8.self)
        let start = threadTime
        do throws(DiagnosticList) {
            let file = try LabFile.parse(
                SourceFile(path: "f", text: text), directory: fixtures + "/good", settings: [("lab", "x")])
            #expect(!file.labs.isEmpty)
        } catch {
            #expect(error.hasErrors && !error.rendered(color: true).isEmpty)
        }
        return threadTime - start
    }

    private func labs() throws -> [[UInt8]] {
        try ["everything", "matrix"].map {
            Array(try Data(contentsOf: URL(fileURLWithPath: "\(fixtures)/good/\($0).yaml")))
        }
    }

    @Test func truncations() throws {
        var slowest = Duration.zero
        for lab in try labs() {
            for length in stride(from: 0, to: lab.count, by: Self.effort > 1 ? 1 : 13) {
                slowest = max(slowest, digest(Array(lab.prefix(length))))
            }
        }
        #expect(slowest < .seconds(5))
    }

    @Test func flippedBytesAndMovedPieces() throws {
        var random = Generator(state: 42)
        let splinters = [
            "${{ matrix.", "}}", "{", "}", "[", "]", ": ", "- ", "&a ", "*a", "<<: ", "\n", "\t", "'", "\"", "|\n",
            "!!str ",
            "99999999999999999999", "-1", "~", "\u{0}", "\u{1B}", "é", "(?", "any ", "---\n", "%", "#", "? ", "@", "\r",
        ]
        var slowest = Duration.zero
        for lab in try labs() {
            for _ in 0..<(300 * Self.effort) {
                var bytes = lab
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                    case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
                    case 2:
                        let splinter = splinters.randomElement(using: &random) ?? ""
                        bytes.insert(contentsOf: Array(splinter.utf8), at: place)
                    default:
                        let end = min(bytes.count, place + Int.random(in: 1...40, using: &random))
                        let piece = bytes[place..<end]
                        bytes.removeSubrange(place..<end)
                        bytes.insert(contentsOf: piece, at: Int.random(in: 0...bytes.count, using: &random))
                    }
                }
                slowest = max(slowest, digest(bytes))
            }
        }
        #expect(slowest < .seconds(5))
    }

    /// 10,000 lines are well under a second in release; the bound here is for debug builds.
    @Test func aLongLabIsDecodedInTime() throws {
        var text = "lab: long\nguests: {lin: {image: debian, count: 4}}\ntasks:\n"
        for number in 0..<2000 {
            text += """
                - name: task-\(number)
                  on: any lin
                  run: echo \(number)
                  expect: {exit: 0, stdout: '^\(number)$'}
                  needs: [task-\(max(0, number - 1) == number ? 1999 : max(0, number - 1))]

                """
        }
        text = text.replacing("  needs: [task-1999]\n", with: "  env: {A: b}\n")
        #expect(text.split(separator: "\n").count == 10_003)
        let start = threadTime
        let lab = try lab(text)
        let elapsed = threadTime - start
        #expect(lab.tasks.count == 2000)
        #expect(elapsed < .seconds(5))
        if Self.effort > 1 { print("10,000 lines: \(elapsed)") }
    }

    @Test func aThousandCellsAreDecodedInTime() throws {
        let values = (0..<(Self.effort > 1 ? 1000 : 100)).map(String.init).joined(separator: ", ")
        let tasks = (0..<20).map { "- {name: t\($0), on: any, run: \"echo ${{ matrix.n }}\", expect: '^x'}\n" }.joined()
        let start = threadTime
        let file = try LabFile.parse(
            SourceFile(
                path: "l",
                text: "lab: x\nmatrix: {n: [\(values)]}\nguests: {a: {image: debian, count: 9}}\ntasks:\n\(tasks)"),
            directory: "/")
        let elapsed = threadTime - start
        #expect(file.labs.count == (Self.effort > 1 ? 1000 : 100) && elapsed < .seconds(5))
        if Self.effort > 1 { print("1,000 cells of 20 tasks: \(elapsed)") }
    }

    /// Each kind of mistake, thousands of times: no step may take time for each mistake times the file's length.
    @Test(arguments: [
        "- {name: tN, run: ls, cuont: 5}", "- {name: tN, run: ls, needs: [uN]}", "- {name: tN, run: ls, on: gN}",
        "- {name: tN, run: '${{ matrix.x }}'}", "- {name: t, run: ls}", "- {name: tN, run: ls, run: ls}",
    ])
    func manyMistakesAreShownInTime(_ task: String) {
        let tasks = (0..<1500).map { task.replacing("N", with: String($0)) + "\n" }.joined()
        let start = threadTime
        let text = errors("lab: x\nguests: {a: {image: debian}}\ntasks:\n" + tasks)
        #expect(text.contains("\nand 1") && text.split(separator: "\n").count <= 301)
        #expect(threadTime - start < .seconds(10))
        if Self.effort > 1 { print("1,500 mistakes \(task): \(threadTime - start)") }
    }
}

/// S14: mistakes in lines of any length, in texts of any size.
@Suite struct CostTests {
    /// Inputs with thousands of mistakes, or one far out in a long text.
    private static let costly: [(name: String, text: String)] = [
        ("duplicate keys", "lab: {" + [String](repeating: "a: 1", count: 5000).joined(separator: ",") + "}"),
        ("duplicate keys, not ASCII", "lab: {" + [String](repeating: "é: 1", count: 5000).joined(separator: ",") + "}"),
        ("unknown keys", "{lab: x, " + (0..<5000).map { "k\($0): 1" }.joined(separator: ",") + "}"),
        (
            "unknown guests",
            "lab: x\nguests: {a: {image: debian}}\ntasks: ["
                + (0..<3000).map { "{name: t\($0), run: x, on: b\($0)}" }.joined(separator: ",") + "]"
        ),
        (
            "expressions in a long text",
            "lab: x\nguests: {a: {image: debian}}\ntasks:\n- name: t\n  run: |\n"
                + (0..<3000).map { "    \(String(repeating: "x", count: 300)) ${{ nothing.n\($0) }}\n" }.joined()
        ),
        (
            "expressions in a long line",
            "lab: x\nguests: {a: {image: debian}}\ntasks: [{name: t, run: \""
                + (0..<5000).map { "${{ nothing.n\($0) }} and " }.joined() + "\"}]"
        ),
        ("refused tags", "[" + [String](repeating: "!x 1", count: 5000).joined(separator: ",") + "]"),
        ("anchors", "[" + (0..<5000).map { "&a\($0) 1" }.joined(separator: ",") + ", *b]"),
        ("nesting", String(repeating: "[", count: 100_000)),
        ("a long line", "lab: x" + String(repeating: " ", count: 1_000_000) + "y: {{"),
        ("one value", "lab: " + String(repeating: "é", count: 500_000)),
        ("lists of maps", "tasks:\n" + String(repeating: "  - {nme: one, runn: x}\n", count: 4000)),
    ]

    @Test("S14: many mistakes in a long line or text are shown in time", arguments: costly.map(\.name))
    func shownInTime(_ name: String) throws {
        let text = try #require(Self.costly.first { $0.name == name }).text
        let start = threadTime
        let said = errors(text)
        #expect(!said.isEmpty && said.utf8.count < 100_000)
        // Milliseconds in release; the bound is for debug builds.
        #expect(threadTime - start < .seconds(10))
        if ProcessInfo.processInfo.environment["VMLAB_FUZZ"] != nil { print("S14 \(name): \(threadTime - start)") }
    }

    @Test("S17: of very many mistakes the first hundred are shown, and how many more there are")
    func bounded() {
        let text = errors("tasks:\n" + String(repeating: "  - {nme: one, runn: x}\n", count: 1000))
        #expect(text.suffix(20).contains(/\nand \d{4} more$/), "\(text.suffix(100))")
        #expect(text.contains("lab.yaml:2:6: error: a task has no key `nme` (did you mean `name`?)"))
    }
}

/// What the host refuses.
@Suite struct HostFileTests {
    @Test("S18: what is no plain file is refused by name at once")
    func noPlainFile() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vmlab-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try #require(mkfifo(folder + "/pipe", 0o600) == 0)
        let huge = open(folder + "/huge", O_CREAT | O_WRONLY, 0o600)
        try #require(ftruncate(huge, 1 << 40) == 0)
        close(huge)
        for (path, words) in [
            ("\(folder)/pipe", "is a pipe, not a file"), (folder, "is a folder, not a file"),
            ("/dev/zero", "is a device, not a file"), ("/dev/null", "is a device, not a file"),
            ("\(folder)/huge", "has 1099511627776 bytes; at most 8388608 are read"),
            ("\(folder)/nothing", "cannot be read"), ("", "cannot be read"),
        ] {
            let error = #expect(throws: DiagnosticList.self) { try LabFile.load(path: path) }
            #expect(error?.all.first?.message.contains(words) == true, "\(error?.rendered() ?? "")")
        }
        #expect(try TextFile.bytes("/proc/self/stat", limit: 1 << 16).count > 20)
    }

    @Test(.enabled(if: geteuid() != 0, "root may read everything"))
    func filesThatMayNotBeRead() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vmlab-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder + "/closed", withIntermediateDirectories: true)
        defer {
            chmod(folder + "/closed", 0o700)
            try? FileManager.default.removeItem(atPath: folder)
        }
        try "echo".write(toFile: folder + "/secret.sh", atomically: true, encoding: .utf8)
        chmod(folder + "/secret.sh", 0)
        chmod(folder + "/closed", 0)
        let text = errors(
            """
            lab: x
            guests: {a: {image: debian}}
            tasks:
              - {name: a, script: \(folder)/secret.sh}
              - {name: b, put: {\(folder)/closed: /root/}}
            """)
        #expect(text.split(separator: "\n").filter { $0.contains("cannot be read (check its permissions)") }.count == 2)
    }
}

import Glibc
import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Patterns
import Testing

/// `user`, `cwd`, `stdin` and `stderr` of tasks.
@Suite("What tasks expect of a command", .timeLimit(.minutes(2)))
struct CommandStreamTests {
    @Test("standard error is a file beside the output, and is judged on its own")
    func errors() async throws {
        func errs(_ name: String, _ pattern: String) throws -> LabTask {
            try task(name, "echo out; echo err >&2").with { $0.expect.stderr = [try Pattern(pattern)] }
        }
        let lab = TestLab(tasks: [
            try errs("met", "^err$"), try errs("unmet", "out"),
            task("kept", "echo err >&2; exit 3").with { $0.errors = .separate },
            task("merged", "echo err >&2"),
        ])
        let inspect: @Sendable (TestRun) throws -> Void = { run in
            var errors: [String: String] = [:]
            for result in run.finished {
                errors[result.id.task] = result.errorsPath.map { SmallFile.text(run.results.absolute($0)) ?? "(none)" }
            }
            #expect(errors["met"] == "err\n")
            let met = try run.result("met")
            #expect(run.output(met).split(separator: "\n").sorted() == ["err", "out"])
            #expect(errors["kept"] == "err\n")
            #expect(errors["merged"] == nil)
        }
        let run = try await TestLab.$inspect.withValue(inspect) { try await lab.run() }
        #expect(try run.result("met").outcome == .passed)
        #expect(try run.result("met").errorBytes == 4)
        #expect(try run.result("unmet").message == "standard error does not match /out/")
        #expect(try run.result("kept").exit == 3)
        #expect(try run.result("merged").outcome == .passed)
    }

    @Test("standard error that came before a deadline is kept")
    func late() async throws {
        let lab = TestLab(tasks: [
            task("t", "echo begun >&2; exec sleep 1000").with {
                $0.errors = .separate
                $0.timeout = .seconds(600)
            }, task("after"),
        ])
        let inspect: @Sendable (TestRun) throws -> Void = { run in
            let path = try #require(run.result("t").errorsPath)
            #expect(SmallFile.text(run.results.absolute(path)) == "begun\n")
        }
        let run = try await TestLab.$inspect.withValue(inspect) {
            try await lab.run(firing: .seconds(600), after: "begun")
        }
        #expect(try run.result("t").outcome == .timeout)
        #expect(try run.result("after").outcome == .passed)
    }

    @Test("standard error beyond the limit is dropped, and not judged")
    func bounded() async throws {
        let lab = TestLab(tasks: [
            try task("t", "yes | head -c 5000000 >&2").with {
                $0.outputLimit = .mebibytes(1)
                $0.expect.stderr = [try Pattern("y")]
            }
        ])
        let result = try await lab.run().result("t")
        #expect(result.outcome == .error)
        #expect(result.message?.hasPrefix("standard error cannot be checked") == true)
        #expect(result.errorBytes - result.errorsDropped == 1 << 20)
    }

    @Test("a task reads a text or a file of the host, byte for byte")
    func inputs() async throws {
        try await withTemporaryFolder { base in
            let bytes = (0..<400).flatMap { _ in Array<UInt8>(0...255) }
            try write(bytes, to: base + "/input")
            var lab = TestLab(tasks: [
                task("text", "cat; echo .").with { $0.input = .text(Array("it's\n$HOME \u{3}".utf8)) },
                task("empty", "cat").with { $0.input = .text([]) },
                task("large", "cksum").with { $0.input = .text([UInt8](repeating: 7, count: 100_000)) },
                task("file", "cmp - \(base)/input && echo same").with { $0.input = .file(base + "/input") },
                task("missing", "cat").with { $0.input = .file(base + "/none") },
                task("none", "cat; echo end"),
            ])
            lab.image.console.announces = false
            let run = try await lab.run()
            #expect(try run.result("text").outputTail == "it's\n$HOME \u{3}.\n")
            #expect(try run.result("empty").outputBytes == 0)
            #expect(try run.result("large").outputTail.contains(" 100000"))
            #expect(try run.result("file").outputTail == "same\n")
            #expect(try run.result("missing").outcome == .error)
            #expect(try run.result("missing").message?.contains("\(base)/none") == true)
            #expect(try run.result("none").outputTail == "end\n")
        }
    }

    @Test("a folder or a user that the guest has not fails the task in words, and the guest goes on")
    func refusals() async throws {
        let lab = TestLab(tasks: [
            task("there", "pwd").with { $0.folder = "/usr" }, task("folder").with { $0.folder = "/no/such" },
            task("user").with { $0.user = "nosuch" }, task("after", "echo on"),
        ])
        let run = try await lab.run()
        #expect(try run.result("there").outputTail == "/usr\n")
        for (name, message) in [
            ("folder", "the guest has no folder /no/such to run the command in"),
            ("user", "the guest has no user `nosuch`"),
        ] {
            let result = try run.result(name)
            #expect(result.outcome == .failed && result.exit == nil)
            #expect(result.message?.hasPrefix(message) == true, "\(result.message ?? "")")
        }
        #expect(try run.result("after").outputTail == "on\n")
    }

    @Test("a task runs as another user", .enabled(if: getuid() == 0, "needs root"))
    func users() async throws {
        let lab = TestLab(tasks: [
            task("t", "id -un; cat; echo err >&2").with {
                $0.user = "daemon"
                $0.input = .text(Array("in\n".utf8))
                $0.errors = .separate
            }, task("after", "id -un"),
        ])
        let run = try await lab.run()
        #expect(try run.result("t").outputTail.split(separator: "\n").sorted() == ["daemon", "err", "in"])
        #expect(try run.result("after").outputTail == "root\n")
    }
}

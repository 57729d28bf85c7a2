import LabResults
import LabSpec
import LabTestSupport
import Patterns
import Testing

/// Output that is much, or for which a pattern does not end.
@Suite("Judging output", .timeLimit(.minutes(2)))
struct JudgementTests {
    private static let fox = "echo 'the quick brown fox jumps over the lazy dog again: fail'"

    @Test("A2: a pattern that does not end is a timeout at the task's deadline, names itself, and costs no guest")
    func endless() async throws {
        let lab = TestLab(tasks: [
            try task("t", Self.fox).with {
                $0.expect.stdout = [try Pattern(#"^(\w+ ?)+: ok$"#)]
                $0.timeout = .seconds(6)
            }, task("next"),
        ])
        let run = try await lab.run()
        let result = try run.result("t")
        #expect(result.outcome == .timeout)
        #expect(result.message?.hasPrefix(#"the pattern /^(\w+ ?)+: ok$/ took too long"#) == true)
        #expect(try run.result("next").outcome == .passed)
        #expect(run.status == .deadline)
    }

    @Test("S3: two such patterns leave the others alone, and a cancelled run ends at once")
    func cancelled() async throws {
        let endless = try ["a", "b", "c", "d"].map {
            try task("t-\($0)", Self.fox, on: [$0]).with {
                $0.expect.stdout = [try Pattern(#"^(\w+ ?)+: ok$"#)]
                $0.timeout = .seconds(3600)
            }
        }
        let lab = TestLab(
            groups: ["a", "b", "c", "d", "other"].map { group($0) },
            tasks: endless + [task("last", "sleep 1; echo done", on: ["other"])])
        let run = try await lab.run(cancelling: true) { sink in
            try await sink.wait { if case .taskFinished(let result) = $0 { result.id.task == "last" } else { false } }
        }
        #expect(try run.result("last").outcome == .passed)
        #expect(run.status == .interrupted)
    }

    @Test(
        "A3: all of the output is judged, not only its beginning",
        arguments: [
            ("ALL TESTS PASSED", "yes | head -c 17000000; echo ALL TESTS PASSED", true),
            ("^first\n(y\n)*z\n", "echo first; yes | head -c 100000; echo z", true),
            ("(?s)^first.*last$", "echo first; head -c 17000000 /dev/zero; echo; echo last", true),
            ("^y*z$", "yes | tr -d '\\n' | head -c 5000000; echo z", true),
            ("^y*z$", "yes | tr -d '\\n' | head -c 5000000; echo a", false),
            ("é€$", "yes é€ | head -c 4000002 | tr -d '\\n'; echo", true),
        ])
    func whole(_ pattern: String, _ command: String, _ isMet: Bool) async throws {
        let lab = TestLab(tasks: [try task("t", command).with { $0.expect.stdout = [try Pattern(pattern)] }])
        #expect(try await lab.run().result("t").outcome == (isMet ? .passed : .failed))
    }

    private static func limit(_ task: inout LabTask) { task.outputLimit = .mebibytes(1) }

    @Test("S17: output beyond its limit is not kept, and the result says so")
    func bounded() async throws {
        let lab = TestLab(tasks: [task("t", "yes | head -c 3000000; echo the end").with(Self.limit)])
        try await TestLab.$inspect.withValue({ run in
            let result = try run.result("t")
            #expect(run.output(result).utf8.count == 1 << 20)
        }) {
            let result = try await lab.run().result("t")
            #expect(result.outcome == .passed)
            #expect(result.outputBytes == 3_000_008)
            #expect(result.outputDropped == 3_000_008 - 1 << 20)
            #expect(result.outputTail.hasSuffix("\nthe end\n"))
        }
    }

    @Test(
        "A3, S17: what is expected of output that was cut is an error, not a verdict", arguments: ["y", "the end", "n"])
    func cut(_ pattern: String) async throws {
        let lab = TestLab(tasks: [
            try task("t", "yes | head -c 3000000; echo the end").with {
                Self.limit(&$0)
                $0.expect.stdout = [try Pattern(pattern)]
            }, task("next"),
        ])
        let run = try await lab.run()
        #expect(try run.result("t").outcome == .error)
        #expect(try run.result("t").message?.contains("only the first 1MiB are kept") == true)
        #expect(try run.result("next").outcome == .passed)
    }

    @Test("a status that tells of a signal says so", arguments: [(9, "SIGKILL"), (15, "SIGTERM"), (11, "SIGSEGV")])
    func signals(_ number: Int, _ name: String) async throws {
        let result = try await TestLab(tasks: [task("t", "kill -\(number) $$")]).run().result("t")
        #expect(result.outcome == .failed && result.exit == Int32(128 + number))
        #expect(result.message == "killed by \(name) (\(128 + number)), expected 0")
    }

    @Test("a wrong exit status is a verdict, however much was printed")
    func cutAndWrong() async throws {
        let lab = TestLab(tasks: [
            try task("t", "yes | head -c 3000000; exit 3").with {
                Self.limit(&$0)
                $0.expect.stdout = [try Pattern("y")]
            }
        ])
        #expect(try await lab.run().result("t").message == "exit status 3, expected 0")
    }
}

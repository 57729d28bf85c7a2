import HostSystem
import LabResults
import Patterns
import LabTestSupport
import Testing

@testable import LabSpec

/// What becomes of single tasks, on real shells.
@Suite("Outcomes of tasks", .timeLimit(.minutes(1)))
struct OutcomeTests {
    @Test("a command passes or fails by its exit status")
    func exitStatus() async throws {
        let lab = TestLab(tasks: [
            task("good", "echo hello"), task("bad", "echo oops; exit 3"),
            task("three", "exit 3").with { $0.expect.exit = [0, 3] },
        ])
        let run = try await TestLab.$inspect.withValue({ run in
            let bad = try run.result("bad")
            #expect(run.output(bad) == "oops\n")
        }) { try await lab.run() }
        #expect(run.status == .failed)
        let good = try run.result("good")
        #expect(good.outcome == .passed)
        #expect(good.exit == 0)
        #expect(good.outputTail == "hello\n")
        #expect(good.attempts == 1)
        let bad = try run.result("bad")
        #expect(bad.outcome == .failed)
        #expect(bad.message == "exit status 3, expected 0")
        #expect(try run.result("three").outcome == .passed)
    }

    @Test("all pass: exit status 0")
    func passed() async throws {
        #expect(try await TestLab(tasks: [task("good")]).run().status == .passed)
    }

    @Test(
        "output patterns",
        arguments: [
            ("^two$", "printf 'one\\ntwo\\nthree\\n'", true),
            ("^two$", "printf 'one\\r\\ntwo\\r\\nthree\\r\\n'", true),
            ("^two", "echo one two", false),
            ("one$", "printf 'one two\\n'", false),
            ("one\\r?\\ntwo", "printf 'one\\r\\ntwo'", true),
            ("one\\ntwo", "printf 'one\\ntwo'", true),
            ("^Linux 6\\.", "echo Linux 6.1.0", true),
            ("^$", "true", true),
            (".", "true", false),
            ("Ä+", "echo ÄÄ", true),
            ("^\\d+\\s\\w+$", "echo '12 ab'", true),
            ("e$", "printf 'caf\\303\\251'", false),
            ("b", "printf 'a\\000b\\377'", true),
        ])
    func patterns(pattern: String, command: String, matches: Bool) async throws {
        let run = try await TestLab(tasks: [try task("t", command).with { $0.expect.stdout = [try Pattern(pattern)] }])
            .run()
        let result = try run.result("t")
        #expect(result.outcome == (matches ? .passed : .failed))
        if !matches { #expect(result.message == "the output does not match /\(pattern)/") }
    }

    @Test("a task's environment: the lab's words, the group's, its own")
    func environment() async throws {
        let script = #"echo "$VMLAB_LAB|$VMLAB_GUEST|$VMLAB_TASK|$VMLAB_INDEX|$A|$B""#
        let lab = TestLab(
            groups: [group("g", env: [EnvironmentVariable("A", "group"), EnvironmentVariable("B", "it's\n$B")])],
            tasks: [
                task("t", script).with {
                    $0.repetitions = 2
                    $0.env = [EnvironmentVariable("A", "task")]
                }
            ])
        let run = try await lab.run()
        #expect(try run.result("t", index: 1).outputTail == "test|g|t|1|task|it's\n$B\n")
        #expect(try run.result("t", index: 2).outputTail == "test|g|t|2|task|it's\n$B\n")
    }

    @Test("a script of the host is run; one that is missing or not text is an error")
    func scripts() async throws {
        try await withTemporaryFolder { folder in
            try write("echo from a script\n", to: folder + "/good.sh")
            try write([0xff, 0xfe, 0], to: folder + "/bad.sh")
            let lab = TestLab(tasks: [
                task("good").with { $0.action = .script(path: folder + "/good.sh") },
                task("bad").with { $0.action = .script(path: folder + "/bad.sh") },
                task("none").with { $0.action = .script(path: folder + "/none.sh") },
                task("after"),
            ])
            let run = try await lab.run()
            #expect(try run.result("good").outputTail == "from a script\n")
            #expect(try run.result("bad").outcome == .error)
            #expect(try run.result("bad").message?.contains("not text in UTF-8") == true)
            #expect(try run.result("none").message?.contains("none.sh") == true)
            #expect(try run.result("after").outcome == .passed)
            #expect(run.status == .infrastructure)
        }
    }

    @Test("a task that runs too long is a timeout, and its guest goes on")
    func timeout() async throws {
        let lab = TestLab(tasks: [
            task("slow", sleeping).with { $0.timeout = .seconds(3) }, task("next", "echo fine"),
        ])
        let run = try await lab.run(firing: .seconds(3), after: "begun")
        let slow = try run.result("slow")
        #expect(slow.outcome == .timeout)
        #expect(slow.message == "the command did not end within 3s")
        #expect(slow.outputTail == "begun\n")
        #expect(try run.result("next").outcome == .passed)
        #expect(run.status == .deadline)
        #expect(run.failedGuests.isEmpty)
    }

    @Test("a task that falls silent is a timeout; one that talks is none")
    func silence() async throws {
        var lab = TestLab(tasks: [
            task("talks", "for i in 1 2 3; do echo $i; while [ ! -e go$i ]; do sleep 0.05; done; done"),
            task("silent", sleeping), task("next"),
        ])
        lab.timeouts.silence = .seconds(3)
        let clock = ManualClock()
        let (lines, said) = AsyncStream.makeStream(of: String.self)
        lab.clock = clock
        lab.onLine = { said.yield($0) }
        let run = try await lab.run { [backend = lab.backend] _ in
            var seen: Set<String> = []
            for await line in lines where seen.insert(line).inserted {
                if line == "begun" { return try await clock.fire(after: .seconds(3)) }
                clock.advance(by: .seconds(2))
                try FileTree.makeFolder("\(try await backend.machine("g").directory)/go\(line)")
            }
        }
        #expect(try run.result("talks").outcome == .passed)
        #expect(try run.result("silent").outcome == .timeout)
        #expect(try run.result("silent").message == "the command printed nothing for 3s")
        #expect(try run.result("next").outcome == .passed)
        #expect(run.status == .deadline)
    }

    @Test("A11: a command that ignores Ctrl-C is killed and costs no other task its guest")
    func unstoppable() async throws {
        var lab = TestLab(tasks: [
            task("stubborn", "trap '' INT; echo begun; while :; do sleep 1; done").with { $0.timeout = .seconds(4) },
            task("next"),
        ])
        let clock = ManualClock()
        let begun = Completion<Void>()
        lab.clock = clock
        lab.onLine = { if $0 == "begun" { begun.fulfil() } }
        let run = try await lab.run { _ in
            try await begun.wait()
            try await clock.fire(after: .seconds(4))
            // Neither Ctrl-C nor a second one ends it; what is typed then does.
            for _ in 1...2 { try await clock.fire(after: .seconds(3)) }
        }
        #expect(try run.result("stubborn").outcome == .timeout)
        #expect(try run.result("next").outcome == .passed)
        #expect(run.warnings.isEmpty && run.census.starts["g"] == 1)
        #expect(run.status == .deadline)
    }

    @Test("A11: where nothing ends a command its guest is made anew, and that is told")
    func madeAnew() async throws {
        var lab = TestLab(tasks: [
            // The terminal has no keys any more.
            task("deaf", "stty -isig </dev/tty; echo begun; while :; do sleep 1; done").with {
                $0.timeout = .seconds(3)
                $0.get = ["/etc/hostname"]
            },
            task("next"),
        ])
        let clock = ManualClock()
        let begun = Completion<Void>()
        lab.clock = clock
        lab.onLine = { if $0 == "begun" { begun.fulfil() } }
        let run = try await lab.run { _ in
            try await begun.wait()
            for _ in 1...3 { try await clock.fire(after: .seconds(3)) }
            // What is left of the ten seconds that ending it may take.
            try await clock.fire(after: .seconds(4))
        }
        let result = try run.result("deaf")
        #expect(result.outcome == .timeout)
        #expect(result.message == "the command did not end within 3s; its files were lost with the guest's state")
        #expect(try run.result("next").outcome == .passed)
        #expect(
            run.warnings == [
                "g is replaced by a fresh guest because task deaf could not be ended: what its tasks had left in it is lost"
            ])
        #expect(run.status == .deadline)
    }

    @Test("N21: each attempt's output and files are kept")
    func attempts() async throws {
        let script = "if [ -e second ]; then echo good; else echo first; touch second; exit 3; fi"
        let lab = TestLab(tasks: [
            task("t", script).with {
                $0.retries = 1
                $0.retryOn = .anyFailure
            },
            task("u", "echo $VMLAB_INDEX; exit 4").with {
                $0.retries = 2
                $0.retryOn = .anyFailure
                $0.repetitions = 2
            },
        ])
        let inspect: @Sendable (TestRun) throws -> Void = { run in
            func text(_ path: String) -> String? { SmallFile.text(run.results.absolute(path)) }
            #expect(text("tasks/t/g/attempt-1/output") == "first\n" && text("tasks/t/g/output") == "good\n")
            #expect(text("tasks/u/g/2/attempt-1/output") == "2\n" && text("tasks/u/g/2/attempt-2/output") == "2\n")
        }
        let run = try await TestLab.$inspect.withValue(inspect) { try await lab.run() }
        let flaky = try run.result("t")
        #expect(flaky.outcome == .flaky && flaky.outputTail == "good\n" && flaky.earlier.count == 1)
        let first = try #require(flaky.earlier.first)
        #expect(first.outcome == .failed && first.exit == 3 && first.outputTail == "first\n" && first.attempts == 1)
        #expect(first.message == "exit status 3, expected 0" && first.outputPath == "tasks/t/g/attempt-1/output")
        let failed = try run.result("u", index: 2)
        #expect(failed.outcome == .failed && failed.attempts == 3 && failed.earlier.map(\.attempts) == [1, 2])
    }

    @Test("A7: what a command prints is on disk and shown while it runs")
    func liveOutput() async throws {
        var lab = TestLab(tasks: [
            task("slow", "echo line 1; echo line 2; while [ ! -e seen ]; do sleep 0.05; done; echo 3")
        ])
        let shown = Completion<String>()
        lab.onLine = { line in if line == "line 2" { shown.fulfil(line) } }
        let run = try await lab.run { [backend = lab.backend] sink in
            _ = try await shown.wait()
            let output = try #require(sink.results).absolute("tasks/slow/g/output")
            // The last line feed may be the beginning of a greeting.
            #expect(SmallFile.text(output)?.hasPrefix("line 1\nline 2") == true)
            let folder = try await backend.machine("g").directory
            try FileTree.makeFolder(folder + "/seen")
        }
        #expect(try run.result("slow").outcome == .passed)
    }

    @Test("10 MB of output arrive whole and are searched")
    func muchOutput() async throws {
        let lab = TestLab(tasks: [
            try task("t", "yes 0123456789abcdef0123456789abcdef | head -c 10000000; echo; echo the end").with {
                $0.expect.stdout = [try Pattern("^the end$")]
            }
        ])
        let run = try await lab.run()
        #expect(try run.result("t").outcome == .passed)
        #expect(try run.result("t").outputBytes == 10_000_009)
    }

    @Test("the reboot of a task gives its guest a new shell")
    func reboot() async throws {
        let lab = TestLab(tasks: [
            task("first", "echo $PPID > before").with { $0.reboot = true },
            task("second", "test $(cat before) != $PPID"),
            LabTask(name: "only", targets: [.every(["g"])], action: .nothing, reboot: true), task("third"),
        ])
        let run = try await lab.run()
        #expect(run.status == .passed)
        #expect(run.finished.map(\.outcome) == [.passed, .passed, .passed, .passed])
    }

    @Test("a guest whose shell starts anew in mid-task is usable afterwards")
    func shellRestarts() async throws {
        let lab = TestLab(tasks: [
            task("kills", "kill -9 $PPID; sleep 5"), task("next", "echo fine"),
        ])
        let run = try await lab.run()
        #expect(try run.result("kills").outcome == .error)
        #expect(try run.result("kills").message?.contains("restarted") == true)
        #expect(try run.result("next").outcome == .passed)
    }
}

import Diagnostics
import HostResources
import HostSystem
import LabRunner
import LabResults
import LabTestSupport
import Testing

@testable import LabScripting
@testable import LabSpec

/// A lab with tasks in Lua, run with shells as guests, and `beside` at the same time.
private func run(
    _ tasks: [LabTask], cell: MatrixCell? = nil, clock: any DeadlineClock = ContinuousClock(),
    _ beside: @escaping @Sendable (ShellBackend) async throws -> Void = { _ in }
) async throws -> [TaskResult] {
    try await withTemporaryFolder { folder in
        let lab = Lab(
            name: "test", source: SourceFile(path: "lab.yaml", text: ""), directory: folder, cell: cell,
            groups: [GuestGroup(name: "a", image: "debian"), GuestGroup(name: "b", image: "debian")], tasks: tasks,
            timeouts: Timeouts(boot: .seconds(60), task: .seconds(60)))
        let backend = ShellBackend()
        let image = BootableImage(
            name: "debian", id: "0", os: .linux, kernel: nil, defaultMemory: .mebibytes(100),
            minimumMemory: .mebibytes(1))
        let facts = ImageFacts(os: .linux, defaultMemory: .mebibytes(100), minimumMemory: .mebibytes(1))
        let plan = try RunPlan.make(
            lab: lab, images: ["debian": facts],
            budget: MemoryBudget(limit: .gibibytes(1), explanation: "a test"),
            backend: { _, _ throws(Diagnostic) in backend })
        let journal = try RunJournal.begin(
            lab: "test", results: nil, in: RunFolders(journals: folder + "/journals", temporary: folder + "/run"))
        defer { journal.end() }
        let events = EventList()
        let results = try RunDirectory.create(lab: "test", out: folder + "/results")
        let scripting = LuaTasks(results: results, isTrusted: false, catalog: ["debian"], variables: [:])
        let run = LabRun(
            plan: plan, images: ["debian": image], options: LabRun.Options(boots: 4),
            recorder: RunRecorder(sinks: [events]), results: results, journal: journal, scripting: scripting)
        async let side: Void = beside(backend)
        await HostClock.$current.withValue(clock) { _ = await run.run() }
        try await side
        #expect(backend.census.live == 0)
        return events.all.compactMap { if case .taskFinished(let result) = $0 { result } else { nil } }
    }
}

private func lua(_ name: String, _ text: String, on guest: String = "a") -> LabTask {
    LabTask(name: name, targets: [.every([guest])], action: .lua(.inline(LuaText(text, line: 7))))
}

@Suite("Tasks in Lua") struct LuaTaskTests {
    @Test("N25: the matrix of a lab keeps numbers and booleans, and text in quotes")
    func matrix() async throws {
        let cell = MatrixCell(
            values: [("n", "3"), ("f", "2.5"), ("b", "true"), ("t", "7"), ("v", "6.10"), ("w", "ext4")], quoted: ["t"])
        let text =
            "local m = lab.matrix vmlab.equals({ m.n, m.f, m.b, m.t, m.v, m.w }, { 3, 2.5, true, '7', '6.10', 'ext4' })"
        let results = try await run([lua("t", text)], cell: cell)
        #expect(results.map(\.outcome) == [.passed], "\(results.map(\.message))")
    }

    @Test("N17: a task whose subtests failed fails, also when it went on")
    func subtests() async throws {
        let results = try await run([
            lua("t", "vmlab.subtest('part', function() error('no') end, { keep_going = true }) guest:succeed('true')")
        ])
        #expect(results.map(\.outcome) == [.failed, .failed])
        #expect(results.last?.message == "1 of 1 subtest failed: t / part")
    }

    @Test("a task has its guest, the others, its environment, the cell, and a result of its own")
    func world() async throws {
        var task = lua(
            "t",
            """
            vmlab.equals(guest.name, "a")
            vmlab.equals(lab.guests.b:succeed("echo $VMLAB_TASK $COLOUR"), "t red")
            vmlab.equals({ lab.name, lab.task, lab.index, lab.env.COLOUR, lab.matrix.fs }, { "test", "t", 1, "red", "ext4" })
            vmlab.subtest("part", function() guest:succeed("true") end)
            vmlab.defer(function() print("at last") end)
            """)
        task.env = [EnvironmentVariable("COLOUR", "red")]
        let results = try await run([task], cell: MatrixCell(values: [("fs", "ext4")]))
        #expect(results.map(\.id.task) == ["t / part", "t"])
        #expect(results.allSatisfy { $0.outcome == .passed }, "\(results.map(\.message))")
        #expect(results.last?.outputTail.hasSuffix("at last\n") == true)
    }

    @Test(
        "how a script fails is the task's outcome",
        arguments: [
            ("guest:succeed('exit 3')", Outcome.failed, "lab.yaml:7: a: `exit 3` ended with exit status 3, expected 0"),
            ("guest:run('sleep 1000', { timeout = '0.2s' })", .failed, "must be a duration"),
            ("guest:run('sleep 1000', { timeout = '200ms' })", .timeout, "did not end within 0.2s"),
            ("error('no')", .failed, "lab.yaml:7: no"), ("guest:kill() guest:run('true')", .error, "ended"),
            ("lab.guests.c:run('true')", .failed, "did you mean"), ("if", .failed, "lab.yaml:7"),
            ("vmlab.boot{ image = 'debian' }", .failed, "lab.guests.NAME"),
            ("guest:read('/no/such/file')", .failed, "/no/such/file could not be"),
            ("guest:write('/proc/version/file', 'x')", .error, "/proc/version/file"),
        ])
    func failures(_ text: String, _ outcome: Outcome, _ words: String) async throws {
        let results = try await run([lua("t", text)])
        #expect(results.map(\.outcome) == [outcome])
        #expect(results.first?.message?.contains(words) == true, "\(results.map(\.message))")
    }

    @Test("N9: syntax errors of inline Lua and of predicates are found before a run, at the words that are wrong")
    func syntax() throws {
        let text = """
            lab: lua
            guests: {lin: {image: debian}}
            tasks:
              - name: block
                lua: |
                  local a = 1
                  local b = = 2
              - {name: line, lua: "local c = = 3"}
              - {name: predicate, run: 'true', expect: {lua: 'return ((('}}
              - {name: expression, run: 'true', expect: {lua: 'exit == = 1'}}
              - name: unfinished
                lua: |
                  if true then
              - {name: good, lua: "return 1"}
              - {name: chunk, run: 'true', expect: {lua: 'local x = exit return x == 0'}}
            """
        let file = try LabFile.parse(
            SourceFile(path: "lab.yaml", text: text), directory: "/", catalog: ["debian"])
        let problems = DiagnosticList(LuaCheck.problems(in: try #require(file.labs.first))).sorted
        #expect(
            problems.map { "\($0.span?.start.line ?? 0):\($0.span?.start.column ?? 0): \($0.message)" } == [
                "7:17: unexpected symbol near '='", "8:34: unexpected symbol near '='",
                "9:3: unexpected symbol near <eof>", "10:60: unexpected symbol near '='",
                "14:3: 'end' expected (to close 'if' at line 13) near <eof>",
            ])
    }

    @Test("N9: a script's error at run time names the line of the lab file")
    func places() async throws {
        let results = try await run([lua("t", "\n\nlocal x = nil .. 'x'")])
        #expect(
            results.first?.message?.hasPrefix("lab.yaml:9: attempt to concatenate a nil value") == true,
            "\(results.map(\.message))")
    }

    @Test("a script that never ends is a timeout, and the guest's next task runs")
    func endless() async throws {
        var endless = lua("endless", "while true do end")
        endless.timeout = .milliseconds(500)
        let results = try await run([
            endless, LabTask(name: "next", targets: [.every(["a"])], action: .run("true")),
        ])
        #expect(results.map(\.outcome) == [.timeout, .passed])
    }

    @Test("A2: a script whose time is up says which step it was in, with its pattern")
    func pattern() async throws {
        // Its search takes the processor's time, which no test turns.
        var slow = lua("slow", "vmlab.matches(('a'):rep(30000) .. 'b', '^(a|aa)+$')")
        slow.timeout = .seconds(4)
        let result = try await run([slow]).first
        #expect(result?.outcome == .timeout)
        #expect(result?.message == "did not end within 4s: it was in lab.yaml:7: `matches ^(a|aa)+$`")
    }

    @Test("A2: a script whose time is up says which command it was in, also within a subtest")
    func command() async throws {
        let clock = ManualClock()
        var slow = lua("slow", "vmlab.subtest('s', function() guest:run(': >begun; exec sleep 1000') end)")
        slow.timeout = .seconds(600)
        let results = try await run([slow], clock: clock) { backend in
            let begun = try await backend.machine("a").directory + "/begun"
            #expect(try await eventually { SmallFile.text(begun) != nil })
            try await clock.fire(after: .seconds(600))
        }
        let result = results.first { $0.id.task == "slow" }
        #expect(result?.outcome == .timeout)
        #expect(
            result?.message == "did not end within 10m: it was in lab.yaml:7: `run : >begun; exec sleep 1000` on a")
    }

    @Test("two tasks that use each other's guest take turns")
    func crossing() async throws {
        let text = "for _ = 1, 5 do lab.guests.a:succeed('sleep 0.02') lab.guests.b:succeed('sleep 0.02') end"
        let results = try await run([lua("left", text), lua("right", text, on: "b")])
        #expect(results.map(\.outcome) == [.passed, .passed], "\(results.map(\.message))")
    }

    @Test("a predicate looks at standard error, where that is kept apart")
    func predicateOnErrors() async throws {
        for (predicate, outcome) in [("stderr == 'e\\n'", Outcome.passed), ("stderr == ''", .failed)] {
            var task = LabTask(name: "t", targets: [.every(["a"])], action: .run("echo hello; echo e >&2"))
            task.expect = Expectation(predicate: LuaText(predicate, line: 9))
            task.errors = .separate
            #expect(try await run([task]).map(\.outcome) == [outcome])
        }
    }

    @Test(
        "a predicate looks at status and output",
        arguments: [
            ("exit == 3 and output == 'hello\\n'", Outcome.passed, ""), ("#output > 100", .failed, "is not what"),
            ("local n = 0 for _ in output:gmatch('l') do n = n + 1 end return n == 2", .passed, ""),
            ("nothing.at.all", .failed, "lab.yaml:9"),
        ])
    func predicates(_ predicate: String, _ outcome: Outcome, _ words: String) async throws {
        var task = LabTask(name: "t", targets: [.every(["a"])], action: .run("echo hello; exit 3"))
        task.expect = Expectation(exit: [3], predicate: LuaText(predicate, line: 9))
        let results = try await run([task])
        #expect(results.map(\.outcome) == [outcome], "\(results.map(\.message))")
        #expect(words.isEmpty || results.first?.message?.contains(words) == true, "\(results.map(\.message))")
    }
}

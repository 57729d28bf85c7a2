import Diagnostics
import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Synchronization
import Testing

/// Tasks that want a fresh guest, and guests that make room and come back as they were.
@Suite("Guests that go back", .timeLimit(.minutes(1)))
struct ResetTests {
    /// Runs a lab with goldens, and reads each run's output.
    private func run(
        _ lab: TestLab, on notebooks: NotebookBackend, cancelling: Bool = false,
        _ beside: @escaping @Sendable (RecordingSink) async throws -> Void = { _ in }
    ) async throws -> (run: TestRun, said: [String: String]) {
        try await withTemporaryFolder { folder in
            var lab = lab
            lab.goldens = GoldenShelf(in: folder)
            let said = Mutex<[String: String]>([:])
            let run = try await TestLab.$inspect.withValue(
                { run in
                    for result in run.finished {
                        said.withLock { $0["\(result.id.task) \(result.id.index)"] = run.output(result) }
                    }
                },
                operation: {
                    try await lab.run(cancelling: cancelling, on: notebooks, beside)
                })
            return (run, said.withLock { $0 })
        }
    }

    private func fresh(_ name: String, _ text: String, on guests: [String] = ["g"]) -> LabTask {
        task(name, text, on: guests).with { $0.reset = .snapshot }
    }

    @Test(
        "each run of a task with `reset: snapshot` has a guest on which nothing was done",
        arguments: [BootChoice.auto, .clone, .cold])
    func everyRun(_ boot: BootChoice) async throws {
        let notebooks = NotebookBackend()
        var lab = TestLab(tasks: [fresh("t", "notes\nnote mine").with { $0.repetitions = 4 }])
        lab.groups[0].boot = boot
        let (run, said) = try await run(lab, on: notebooks)
        #expect(run.status == .passed)
        #expect(said == ["t 1": "", "t 2": "", "t 3": "", "t 4": ""])
        // The first finds the guest as it came up; behind the last, a clone stands by for one that does not come.
        if boot == .cold {
            #expect(notebooks.count(.cold) == 4)
        } else {
            #expect((4...5).contains(notebooks.count(.restored)))
        }
        #expect(notebooks.count(.golden) == (boot == .cold ? 0 : 1))
        #expect(run.boots(of: "g").count == 4)
    }

    @Test("tasks without it find what was done before, since the last reset")
    func between() async throws {
        let notebooks = NotebookBackend()
        let lab = TestLab(tasks: [
            task("a", "note a"), task("b", "notes\nnote b"), fresh("c", "notes\nnote c"), task("d", "notes"),
            fresh("e", "notes\nhostname"),
        ])
        let (run, said) = try await run(lab, on: notebooks)
        #expect(run.status == .passed)
        #expect(said == ["a 1": "", "b 1": "a\n", "c 1": "", "d 1": "c\n", "e 1": "g\n"])
        #expect((3...4).contains(notebooks.count(.restored)))
    }

    @Test("each attempt has one")
    func everyAttempt() async throws {
        let notebooks = NotebookBackend()
        let lab = TestLab(tasks: [
            fresh("t", "notes\nnote mine\nexit 7").with {
                $0.retries = 2
                $0.retryOn = .anyFailure
            }
        ])
        let (run, said) = try await run(lab, on: notebooks)
        #expect(try run.result("t").outcome == .failed)
        #expect(try run.result("t").attempts == 3)
        #expect(said == ["t 1": ""])
        #expect((3...4).contains(notebooks.count(.restored)))
    }

    @Test("a golden that does not work any more at a reset is thrown away, and the guest boots")
    func goldenFailsLater() async throws {
        let notebooks = NotebookBackend { $0.kind == .restored && $0.number > 1 ? .dies : .comesUp }
        let (run, said) = try await run(
            TestLab(tasks: [fresh("t", "notes\nnote mine").with { $0.repetitions = 2 }]), on: notebooks)
        #expect(run.status == .passed)
        #expect(said == ["t 1": "", "t 2": ""])
        #expect(run.warnings.count == 1)
        #expect(notebooks.count(.cold) == 1)
    }

    @Test("a guest that does not come back from its reset is lost, and says so; others go on", arguments: [0, 1])
    func lost(_ retries: Int) async throws {
        // The one that stands by, the one that is started in its place, and the one that boots; for good, or for once.
        let bad = retries == 0 ? 2...100 : 2...4
        let notebooks = NotebookBackend { $0.guest == "g-1" && bad.contains($0.number) ? .dies : .comesUp }
        let lab = TestLab(
            groups: [group("g", count: 2)],
            tasks: [
                task("first", "note mine", on: ["g-1", "g-2"]),
                fresh("t", "notes\nhostname", on: ["g-1", "g-2"]).with { $0.retries = retries },
                task("last", on: ["g-1", "g-2"]),
            ])
        let (run, _) = try await run(lab, on: notebooks)
        let result = try run.result("t", on: "g-1")
        #expect(try run.result("t", on: "g-2").outcome == .passed)
        #expect(try run.result("last", on: "g-2").outcome == .passed)
        if retries == 0 {
            #expect(result.outcome == .error)
            #expect(result.message?.hasPrefix("the guest did not come back from its reset: ") == true)
            #expect(run.failedGuests == ["g-1": result.message ?? ""])
            #expect(try run.result("last", on: "g-1").outcome == .error)
            #expect(run.status == .infrastructure)
        } else {
            #expect(result.outcome == .flaky && result.attempts == 2)
            #expect(run.failedGuests == [:] && run.status == .passed)
        }
    }

    @Test("a run that is stopped while a guest is being reset ends at once and leaves nothing")
    func stoppedInReset() async throws {
        let never = Completion<Void>()
        defer { never.fulfil() }
        let notebooks = NotebookBackend { $0.guest == "g" && $0.number == 2 ? .comesUpAfter(never) : .comesUp }
        let (run, _) = try await run(
            TestLab(tasks: [task("a"), fresh("t", "true"), task("b")]), on: notebooks, cancelling: true
        ) { try await $0.waitForStart(of: "t") }
        #expect(run.status == .interrupted)
        #expect(try run.result("a").outcome == .passed)
        #expect(try run.result("t").outcome == .skipped)
        #expect(run.failedGuests == [:])
    }

    // MARK: Parking

    /// Two guests that have room for one, of which each waits for the other.
    private func narrow(_ boot: BootChoice) -> TestLab {
        var lab = TestLab(
            groups: [group("a").with { $0.boot = boot }, group("b").with { $0.boot = boot }],
            tasks: [
                task("one", "note first", on: ["a"]), task("two", "notes\nnote other", on: ["b"], needs: ["one"]),
                task("three", "notes\nnote second\nhostname", on: ["a"], needs: ["two"]),
                task("four", "notes", on: ["b"], needs: ["three"]),
                task("five", "notes", on: ["a"], needs: ["four"]),
            ])
        lab.limit = .mebibytes(150)
        return lab
    }

    @Test(
        "a guest that makes room while it has more to run is parked, and goes on as it was",
        arguments: [BootChoice.auto, .cold])
    func parked(_ boot: BootChoice) async throws {
        let notebooks = NotebookBackend()
        let (run, said) = try await run(narrow(boot), on: notebooks)
        #expect(run.status == .passed)
        #expect(
            said == [
                "one 1": "", "two 1": "", "three 1": "first\na\n", "four 1": "other\n", "five 1": "first\nsecond\n",
            ])
        #expect(notebooks.count(.cold) == (boot == .cold ? 2 : 0))
        let parked = run.events.count {
            if case .guestEnded(_, true, "parked: frees memory for a waiting guest") = $0 { true } else { false }
        }
        #expect(parked == 3)
        #expect(run.warnings == [])
    }

    @Test("one that cannot be saved boots anew, and a warning says what is lost", arguments: [false, true])
    func notParked(_ isSlow: Bool) async throws {
        let trouble = Diagnostic(.host, "no paper")
        let notebooks = NotebookBackend(saving: { $0 == "a" ? isSlow ? .takesForever : .fails(trouble) : .works })
        var lab = narrow(.cold)
        lab.timeouts.boot = .seconds(12)
        let (run, said) = try await run(lab, on: notebooks)
        #expect(run.status == .passed)
        #expect(said["three 1"] == "a\n" && said["four 1"] == "other\n" && said["five 1"] == "")
        #expect(run.warnings.count == 2)
        #expect(run.warnings.first?.contains("what its tasks left in it is lost") == true)
    }

    @Test("a parked guest that does not come back is lost")
    func parkedAndLost() async throws {
        let notebooks = NotebookBackend { $0.guest == "a" && $0.kind == .restored ? .dies : .comesUp }
        let (run, _) = try await run(narrow(.cold), on: notebooks)
        #expect(try run.result("two").outcome == .passed)
        #expect(try run.result("three").outcome == .error)
        #expect(run.failedGuests.keys.sorted() == ["a"])
        #expect(run.status == .infrastructure)
    }

    @Test("a run that is stopped while a guest is being parked leaves nothing")
    func stoppedInParking() async throws {
        let isSaving = Completion<Void>()
        let notebooks = NotebookBackend(saving: { _ in
            isSaving.fulfil()
            return .takesForever
        })
        let (run, _) = try await run(narrow(.cold), on: notebooks, cancelling: true) { _ in
            _ = try await isSaving.wait()
        }
        #expect(run.status == .interrupted)
        #expect(run.warnings == [])
    }

    @Test("a run that is stopped while guests are parked leaves nothing")
    func stoppedWhileParked() async throws {
        let notebooks = NotebookBackend()
        var lab = narrow(.cold)
        lab.tasks[1].action = .run("wait")
        let (run, _) = try await run(lab, on: notebooks, cancelling: true) { try await $0.waitForStart(of: "two") }
        #expect(run.status == .interrupted)
        #expect(try run.result("one").outcome == .passed)
        #expect(try run.result("two").outcome == .skipped)
    }
}

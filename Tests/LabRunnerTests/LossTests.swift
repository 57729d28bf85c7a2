import Diagnostics
import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Testing

/// Guests that die, hang or never come up.
@Suite("Guests that are lost", .timeLimit(.minutes(1)))
struct LossTests {
    @Test("a guest killed in mid-task is an error within seconds; the others finish")
    func killed() async throws {
        let lab = TestLab(
            groups: [group("g", count: 2)],
            tasks: [
                task("long", "[ $VMLAB_GUEST = g-2 ] || sleep 100", on: ["g-1", "g-2"]),
                task("after", on: ["g-1", "g-2"]),
            ])
        let backend = lab.backend
        let run = try await lab.run { sink in
            try await sink.waitForStart(of: "long")
            try await sink.waitForReady("g-1")
            try await backend.machine("g-1").die()
        }
        let long = try run.result("long", on: "g-1")
        #expect(long.outcome == .error)
        #expect(long.message == "the guest's machine ended (killed by SIGKILL)")
        #expect(try run.result("after", on: "g-1").outcome == .error)
        #expect(try run.result("long", on: "g-2").outcome == .passed)
        #expect(try run.result("after", on: "g-2").outcome == .passed)
        #expect(run.status == .infrastructure)
        #expect(run.failedGuests.keys.sorted() == ["g-1"])
        #expect(run.duration < .seconds(90))
    }

    @Test("a kernel panic on COM1 in mid-task is `panicked`, with the console's words")
    func panic() async throws {
        // A guest that still answers is none whose kernel has ended: it says its last before the panic.
        let begun = Completion<Void>()
        var lab = TestLab(tasks: [task("t", "echo begun; sleep 100"), task("next")])
        lab.onLine = { if $0 == "begun" { begun.fulfil() } }
        let clock = ManualClock()
        lab.clock = clock
        let backend = lab.backend
        let run = try await lab.run { _ in
            _ = try await begun.wait()
            try await backend.machine("g").kernel.say(
                "[    1.0] all is well\r\n[    2.0] Kernel panic - not syncing: sysrq triggered crash\r\n[    2.1] CPU: 0\r\n"
            )
            // What was said before has come, the guest shows no life, and it has said all.
            for time in [500, 2500, 1000] { try await clock.fire(after: .milliseconds(time)) }
        }
        let result = try run.result("t")
        #expect(result.outcome == .panicked)
        #expect(result.message?.contains("sysrq triggered crash") == true)
        #expect(result.consoleTail.contains { $0.contains("all is well") })
        #expect(try run.result("next").outcome == .error)
        #expect(run.status == .infrastructure)
    }

    @Test("a panic that the machine itself reports")
    func reportedPanic() async throws {
        let lab = TestLab(tasks: [task("t", "sleep 100")])
        let backend = lab.backend
        let run = try await lab.run { sink in
            try await sink.waitForStart(of: "t")
            try await backend.machine("g").report(.panicked("the panic device said so"))
        }
        #expect(try run.result("t").outcome == .panicked)
        #expect(try run.result("t").message == "the panic device said so")
    }

    @Test("a guest that powers itself off in mid-task")
    func powersOff() async throws {
        let lab = TestLab(tasks: [task("t", "sleep 100")])
        let backend = lab.backend
        let run = try await lab.run { sink in
            try await sink.waitForStart(of: "t")
            try await backend.machine("g").powerOff()
        }
        #expect(try run.result("t").outcome == .error)
        #expect(try run.result("t").message == "the guest powered itself off")
    }

    @Test("a guest that never greets is lost at its boot deadline, once, with its console's end")
    func neverReady() async throws {
        var lab = TestLab(
            groups: [group("g", count: 2)],
            tasks: [task("t", on: ["g-1", "g-2"]), shared("s", "sleep 0.3", among: ["g-1", "g-2"], repetitions: 10)],
            backend: ShellBackend { guest, _ in guest == "g-1" ? .boots(.never) : .normally })
        let clock = ManualClock()
        lab.timeouts.boot = .seconds(600)
        lab.clock = clock
        let backend = lab.backend
        let run = try await lab.run { sink in
            let machine = try await backend.machine("g-1")
            machine.kernel.say("Waiting for root device\n")
            // All that the other guest has to do is done.
            #expect(
                try await eventually {
                    machine.kernel.isDrained
                        && sink.events.count { if case .taskFinished = $0 { true } else { false } } == 11
                })
            while true { try await clock.fireNext(within: .seconds(600)) }
        }
        #expect(try run.result("t", on: "g-1").outcome == .error)
        #expect(run.failedGuests["g-1"]?.hasPrefix("the guest did not become ready before its boot deadline: ") == true)
        #expect(
            run.events.contains {
                if case .guestFailed(_, _, _, let tail) = $0 {
                    tail.contains { $0.contains("root device") }
                } else {
                    false
                }
            })
        #expect(run.outcomes("s") == Array(repeating: .passed, count: 10))
        #expect(run.census.starts == ["g-1": 1, "g-2": 1], "a lost guest does not boot again")
        #expect(run.status == .infrastructure)
    }

    @Test("a machine that cannot be started, and one that dies before it is ready")
    func cannotStart() async throws {
        let lab = TestLab(
            groups: [group("g", count: 3)],
            tasks: [task("t", on: ["g-1", "g-2", "g-3"])],
            backend: ShellBackend { guest, _ in
                switch guest {
                case "g-1": .fails(Diagnostic(.host, "no more memory", remedy: "buy some"))
                case "g-2": .boots(.dies)
                default: .normally
                }
            })
        let run = try await lab.run()
        #expect(try run.result("t", on: "g-1").outcome == .error)
        #expect(try run.result("t", on: "g-1").message == "g-1: no more memory")
        #expect(try run.result("t", on: "g-2").message?.contains("exit status 7") == true)
        #expect(try run.result("t", on: "g-3").outcome == .passed)
        #expect(run.status == .infrastructure)
        #expect(run.duration < .seconds(300))
    }

    @Test("a guest that dies while it is idle is reported at once and gets no more runs")
    func diesIdle() async throws {
        try await withTemporaryFolder { folder in
            let go = folder + "/go"
            let lab = TestLab(
                groups: [group("g", count: 2)],
                tasks: [
                    task("long", "while [ ! -e \(go) ]; do sleep 0.05; done", on: ["g-1"]),
                    shared("s", "sleep 0.1", among: ["g-1", "g-2"], repetitions: 6).with { $0.needs = ["long"] },
                ])
            let backend = lab.backend
            let run = try await lab.run { sink in
                try await sink.waitForStart(of: "long")
                try await sink.waitForReady("g-2")
                try await backend.machine("g-2").die()
                try await sink.wait { if case .guestFailed("g-2", _, _, _) = $0 { true } else { false } }
                try write("", to: go)
            }
            #expect(run.outcomes("s") == Array(repeating: .passed, count: 6))
            #expect(run.status == .infrastructure)
        }
    }

    @Test("with a retry left, a guest that dies in mid-task boots anew and runs the task and the rest")
    func retryAfterDeath() async throws {
        try await withTemporaryFolder { folder in
            // Signal 9 to process group 0: the whole guest.
            let script = "[ -e \(folder)/mark ] && exit; : > \(folder)/mark; kill -9 0"
            let run = try await TestLab(tasks: [task("t", script).with { $0.retries = 1 }, task("next")]).run()
            let result = try run.result("t")
            #expect(result.outcome == .flaky)
            #expect(result.attempts == 2)
            #expect(try run.result("next").outcome == .passed)
            #expect(run.status == .passed)
            #expect(run.census.starts == ["g": 2])
            #expect(run.failedGuests.isEmpty)
        }
    }

    @Test("a guest that never survives its task uses up its attempts")
    func retriesUsedUp() async throws {
        let lab = TestLab(tasks: [
            task("first").with { $0.needs = ["t"] },
            task("t", "kill -9 0").with { $0.retries = 2 },
        ])
        let run = try await lab.run()
        let result = try run.result("t")
        #expect(result.outcome == .error)
        #expect(result.attempts == 3)
        #expect(try run.result("first").outcome == .skipped)
        #expect(run.status == .infrastructure)
    }

    @Test("a guest that does not boot for its retry keeps what happened")
    func retryDoesNotBoot() async throws {
        let lab = TestLab(
            tasks: [task("t", "sleep 100").with { $0.retries = 1 }],
            backend: ShellBackend { _, start in start == 1 ? .normally : .boots(.dies) })
        let backend = lab.backend
        let run = try await lab.run { sink in
            try await sink.waitForStart(of: "t")
            try await backend.machine("g").die()
        }
        let result = try run.result("t")
        #expect(result.outcome == .error)
        #expect(result.attempts == 1)
        #expect(run.census.starts == ["g": 2])
    }

    @Test("retries are for infrastructure unless any failure is meant")
    func retryReasons() async throws {
        try await withTemporaryFolder { folder in
            let script = "echo x >> \(folder)/$VMLAB_TASK; [ $(wc -l < \(folder)/$VMLAB_TASK) = 3 ]"
            let lab = TestLab(tasks: [
                task("own", script).with { $0.retries = 5 },
                task("any", script).with {
                    $0.retries = 5
                    $0.retryOn = .anyFailure
                },
            ])
            let run = try await lab.run()
            #expect(try run.result("own").outcome == .failed)
            #expect(try run.result("own").attempts == 1)
            #expect(try run.result("any").outcome == .flaky)
            #expect(try run.result("any").attempts == 3)
            #expect(run.status == .failed)
        }
    }
}

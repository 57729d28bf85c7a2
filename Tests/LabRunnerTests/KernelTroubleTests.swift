import Glibc
import GuestConsole
import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Synchronization
import Testing

@testable import GuestControl

/// What a guest's kernel says while tasks run, and before and after.
@Suite("Trouble of guests' kernels", .timeLimit(.minutes(1)))
struct KernelTroubleTests {
    /// Waits for a sign of the test's.
    private static let wait = "until test -e go; do sleep 0.02; done"
    private static let oops = """
        [    1.0] all is well\r
        [    2.0] BUG: kernel NULL pointer dereference, address: 0000000000000000\r
        [    2.1] Oops: 0002 [#1] PREEMPT SMP\r
        [    2.2] RIP: 0010:foo+0x1/0x2\r
        [    2.3] ---[ end trace 0000000000000000 ]---\r

        """

    /// Has the kernel say something while the lab's first task runs, and then ends that.
    private func run(_ lab: TestLab, saying text: String) async throws -> TestRun {
        let backend = lab.backend
        return try await lab.run { sink in
            try await sink.waitForStart(of: "t")
            let machine = try await backend.machine("g")
            machine.kernel.say(text)
            try Self.give(machine)
        }
    }

    private static func give(_ machine: ShellMachine) throws {
        _ = try OwnedDescriptor.open("\(machine.directory)/go", O_WRONLY | O_CREAT)
    }

    @Test("A4: an oops during a task that exits 0 fails it, with its trace")
    func oops() async throws {
        let run = try await run(TestLab(tasks: [task("t", Self.wait), task("next")]), saying: Self.oops)
        let result = try run.result("t")
        #expect(result.outcome == .failed)
        #expect(
            result.message
                == "the kernel of g reported: BUG: kernel NULL pointer dereference, address: 0000000000000000")
        #expect(result.trouble.map(\.kind) == ["oops"])
        #expect(result.trouble.first?.lines.contains("[    2.2] RIP: 0010:foo+0x1/0x2") == true)
        #expect(try run.result("next").outcome == .passed)
        #expect(run.status == .failed)
    }

    @Test("A4: the lab decides: nothing fails a task, or only what is named", arguments: [nil, [TroubleKind.kasan]])
    func choice(_ kinds: [TroubleKind]?) async throws {
        var lab = TestLab(tasks: [task("t", Self.wait).with { $0.failOn = kinds.map { Set($0) } }])
        lab.failOn = []
        let result = try await run(lab, saying: Self.oops).result("t")
        #expect(result.outcome == .passed)
        #expect(result.trouble.map(\.kind) == ["oops"])
    }

    @Test("A4: a warning fails a task where that is wanted")
    func warning() async throws {
        let text = "[    1.0] WARNING: kernel/sched/core.c:8511 at sched_init+0x20/0x410, CPU#0: swapper/0\r\n"
        #expect(try await run(TestLab(tasks: [task("t", Self.wait)]), saying: text).result("t").outcome == .passed)
        let lab = TestLab(tasks: [task("t", Self.wait).with { $0.failOn = [.warning] }])
        #expect(try await run(lab, saying: text).result("t").outcome == .failed)
    }

    @Test("A4: trouble without an end mark is told after its last line, and what fails already stays so")
    func openEnd() async throws {
        let lab = TestLab(tasks: [task("t", Self.wait + "; exit 3")])
        let result = try await run(
            lab, saying: "[    1.0] BUG: KASAN: slab-out-of-bounds in foo+0x1/0x2\r\n[    1.1] x\r\n"
        )
        .result("t")
        #expect(result.outcome == .failed)
        #expect(result.exit == 3)
        // The line that the machine printed as it booted, and these two.
        #expect(result.trouble.first?.lines.count == 3)
    }

    @Test("A4: what came between two tasks goes to the next one of that guest")
    func between() async throws {
        let lab = TestLab(tasks: [task("t"), task("next", Self.wait)])
        let backend = lab.backend
        let run = try await lab.run { sink in
            try await sink.wait { if case .taskFinished(let result) = $0 { result.id.task == "t" } else { false } }
            let machine = try await backend.machine("g")
            machine.kernel.say(Self.oops)
            try Self.give(machine)
        }
        #expect(try run.result("t").outcome == .passed)
        #expect(try run.result("next").outcome == .failed)
    }

    @Test("each kind that a lab can name is one that consoles are searched for")
    func kinds() {
        let found = KernelTrouble.Kind.allCases.filter { $0.severity != .fatal }
        #expect(TroubleKind.allCases.map(\.rawValue) == found.map(\.rawValue))
        #expect(Set(found.filter { $0.severity == .grave }.map(\.rawValue)) == Set(TroubleKind.grave.map(\.rawValue)))
    }

    @Test("A6: a guest whose console says that it panicked goes on when its command channel does")
    func notAPanic() async throws {
        let warning = "the console says, and the guest goes on: Kernel panic - not syncing: test"
        var lab = TestLab(tasks: [task("t", "until test -e go; do echo on; sleep 0.02; done"), task("next")])
        let clock = ManualClock()
        lab.clock = clock
        let lines = Mutex(0)
        lab.onLine = { _ in lines.withLock { $0 += 1 } }
        let backend = lab.backend
        let run = try await lab.run { sink in
            try await sink.waitForStart(of: "t")
            let machine = try await backend.machine("g")
            machine.kernel.say("[    1.0] Kernel panic - not syncing: test\r\n")
            try await clock.fire(after: .milliseconds(500))
            // Within the time that it is watched for, the task says something.
            try await clock.sleeper(for: .milliseconds(2500))
            clock.advance(by: .seconds(1))
            let before = lines.withLock { $0 }
            #expect(try await eventually { lines.withLock { $0 } > before + 1 })
            try await clock.fire(after: .milliseconds(1500))
            try await sink.wait { if case .note(.warning, let text) = $0 { text.hasSuffix(warning) } else { false } }
            try Self.give(machine)
        }
        #expect(try run.result("t").outcome == .passed)
        #expect(try run.result("next").outcome == .passed)
        #expect(run.warnings.contains { $0.hasSuffix(warning) })
    }

    @Test("A6: a panic is believed when the machine reboots, or ends", arguments: [MachineEvent.reset, .shutdown])
    func aPanic(_ end: MachineEvent) async throws {
        let lab = TestLab(tasks: [task("t", "sleep 100")])
        let backend = lab.backend
        let run = try await lab.run { sink in
            try await sink.waitForStart(of: "t")
            let machine = try await backend.machine("g")
            machine.kernel.say("[    1.0] Kernel panic - not syncing: test\r\n")
            while !machine.kernel.isDrained { await Task.yield() }
            if end == .reset { machine.report(.reset) } else { machine.powerOff() }
        }
        #expect(try run.result("t").outcome == .panicked)
        #expect(try run.result("t").message == "Kernel panic - not syncing: test")
    }
}

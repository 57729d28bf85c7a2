import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabTestSupport
import Quantities
import Synchronization
import Testing

@testable import GuestControl
@testable import HostResources
@testable import LabRunner
@testable import LabSpec

/// How a whole lab went.
struct TestRun {
    let status: LabResults.ExitStatus
    let events: [RunEvent]
    let census: ShellBackend.Census
    let results: RunDirectory
    let duration: Duration

    var finished: [TaskResult] {
        events.compactMap { if case .taskFinished(let result) = $0 { result } else { nil } }
    }

    func result(_ task: String, on guest: String? = nil, index: Int = 1) throws -> TaskResult {
        try #require(
            finished.first { $0.id.task == task && $0.id.index == index && (guest == nil || $0.id.guest == guest) },
            "no result of \(task)")
    }

    func output(_ result: TaskResult) -> String {
        SmallFile.text(results.absolute(RunDirectory.taskOutput(result.id))) ?? "(none)"
    }

    /// What the run warned of.
    var warnings: [String] { events.compactMap { if case .note(.warning, let message) = $0 { message } else { nil } } }

    /// How each machine that a guest had came up.
    func boots(of guest: String) -> [BootKind] {
        events.compactMap { if case .guestBooting(guest, _, let boot) = $0 { boot } else { nil } }
    }

    var failedGuests: [String: String] {
        var found: [String: String] = [:]
        for case .guestFailed(let guest, _, let message, _) in events { found[guest] = message }
        return found
    }

    func outcomes(_ task: String) -> [Outcome] { finished.filter { $0.id.task == task }.map(\.outcome) }
}

/// A lab to be run in a test.
struct TestLab: Sendable {
    var groups: [GuestGroup] = [group("g")]
    var networks: [NetworkSpec] = []
    var tasks: [LabTask] = []
    var timeouts = Timeouts(boot: .seconds(60), task: .seconds(60))
    var limit = ByteCount.gibibytes(100)
    var slots: Int?
    var boots = 4
    var stopOnFailure = false
    /// What multiplies every timeout.
    var timeFactor = 1.0
    var backend = ShellBackend()
    var admission = AdmissionMode.strict
    var failOn = TroubleKind.grave
    var meter: any MemoryMeter = HostMeter()
    /// Turned by hand; nil for the host's clock.
    var clock: ManualClock?
    /// Hears the last line of what a command has printed so far.
    var onLine: @Sendable (String) -> Void = { _ in }
    /// Where goldens are kept; nil boots every guest.
    var goldens: GoldenShelf?
    var image = BootableImage(
        name: "debian", id: "0", os: .linux, kernel: nil, defaultMemory: .mebibytes(100), minimumMemory: .mebibytes(1))

    var lab: Lab {
        Lab(
            name: "test", source: SourceFile(path: "lab.yaml", text: ""), directory: "/", groups: groups,
            networks: networks,
            tasks: tasks, admission: admission, timeouts: timeouts, failOn: failOn)
    }

    func plan(on other: (any MachineBackend)? = nil) throws -> RunPlan {
        let facts = ImageFacts(os: image.os, defaultMemory: image.defaultMemory, minimumMemory: image.minimumMemory)
        let backend: any MachineBackend = other ?? backend
        return try RunPlan.make(
            lab: lab, images: ["debian": facts], budget: MemoryBudget(limit: limit, explanation: "a test"),
            slots: slots,
            backend: { _, _ throws(Diagnostic) in backend })
    }

    /// Runs it, and `beside` at the same time; as soon as that returns the run's task is cancelled with `cancelling`, and the
    /// run told to end in order with `interrupting`. Checks what must hold after any run. `other` runs the guests in place of the shells.
    @discardableResult
    func run(
        cancelling: Bool = false, interrupting: Bool = false, on other: (any MachineBackend)? = nil,
        _ beside: @escaping @Sendable (RecordingSink) async throws -> Void = { _ in }
    ) async throws -> TestRun {
        try await withTemporaryFolder { folder in
            let results = try RunDirectory.create(lab: "test", out: folder + "/results")
            let sink = RecordingSink(results: results, onLine: onLine)
            let recorder = RunRecorder(sinks: [sink])
            let plan = try plan(on: other)
            let journal = try RunJournal.begin(
                lab: "test", results: nil,
                in: RunFolders(journals: folder + "/journals", temporary: folder + "/run"))
            defer { journal.end() }
            let interruption = Completion<Void>()
            let run = LabRun(
                plan: plan, images: ["debian": image],
                options: LabRun.Options(
                    timeFactor: timeFactor, stopOnFailure: stopOnFailure, boots: boots, meter: meter,
                    interruption: interruption),
                recorder: recorder,
                results: results, journal: journal, goldens: goldens)
            let begun = ContinuousClock.now
            let task = Task { [clock] in
                await HostClock.$current.withValue(clock ?? ContinuousClock()) { await run.run() }
            }
            let side = Task { try await beside(sink) }
            if cancelling || interrupting { try await side.value }
            if cancelling { task.cancel() }
            if interrupting { interruption.fulfil() }
            let status = await task.value
            side.cancel()
            do { try await side.value } catch is CancellationError {}
            let ended = TestRun(
                status: status, events: sink.events, census: backend.census, results: results,
                duration: ContinuousClock.now - begun)
            check(ended, against: plan)
            // A snapshot's folder is removed on a thread of its own.
            let areGone = try await eventually { try FileTree.names(in: journal.directory) == [] }
            #expect(areGone, "files are left: \((try? FileTree.names(in: journal.directory)) ?? [])")
            if let notebooks = other as? NotebookBackend { #expect(notebooks.live == 0, "machines are left") }
            try Self.inspect?(ended)
            return ended
        }
    }

    /// Runs it by a clock that is turned to the end of a sleep of `duration` once a command has printed `line`.
    func run(firing duration: Duration, after line: String) async throws -> TestRun {
        let clock = ManualClock()
        let begun = Completion<Void>()
        var lab = self
        lab.clock = clock
        lab.onLine = { if $0 == line { begun.fulfil() } }
        return try await lab.run { _ in
            try await begun.wait()
            try await clock.fire(after: duration)
        }
    }

    /// Reads files of the results while they exist.
    @TaskLocal static var inspect: (@Sendable (TestRun) throws -> Void)?

    private func check(_ run: TestRun, against plan: RunPlan) {
        #expect(run.census.live == 0, "machines are left")
        if admission == .strict { #expect(run.census.peakMemory <= plan.budget.limit) }
        let declared = plan.runs.map { "\($0.task) \($0.index)" }.sorted()
        let reported = run.finished.map { "\($0.id.task) \($0.id.index)" }.sorted()
        #expect(declared == reported, "every run has exactly one result")
        #expect(Set(run.finished.map(\.id)).count == run.finished.count, "two results have the same id")
        let ends = run.events.indices.filter { if case .runFinished = run.events[$0] { true } else { false } }
        #expect(ends == [run.events.count - 1], "runFinished is the last event, once")
        if case .runFinished(let summary) = run.events.last {
            #expect(summary.status == run.status)
            #expect(summary.counts.values.reduce(0, +) == run.finished.count)
        }
    }
}

func group(_ name: String, count: Int? = nil, memory: ByteCount? = nil, env: [EnvironmentVariable] = []) -> GuestGroup {
    GuestGroup(name: name, count: count, image: "debian", memory: memory, env: env)
}

/// A command that says `begun` and then sleeps. It takes the first Ctrl-C: a shell that has just begun a child may not.
let sleeping = "sh -c 'echo begun; exec sleep 1000'"

/// A task that runs `text` on every named guest.
func task(_ name: String, _ text: String = "true", on guests: [String] = ["g"], needs: [String] = []) -> LabTask {
    LabTask(name: name, targets: [.every(guests)], action: .run(text), needs: needs)
}

/// A task that runs `text` on any of the guests.
func shared(_ name: String, _ text: String = "true", among guests: [String], repetitions: Int) -> LabTask {
    LabTask(name: name, targets: [.any(guests)], action: .run(text), repetitions: repetitions)
}

extension LabTask {
    func with(_ change: (inout LabTask) throws -> Void) rethrows -> LabTask {
        var copy = self
        try change(&copy)
        return copy
    }
}

import Diagnostics
import Glibc
import HostSystem
import GuestControl
import HostResources
import LabRunner
import LabResults
import LabTestSupport
import LuaRuntime
import Synchronization
import Testing

@testable import LabScripting
@testable import LabSpec

/// Keeps a run's events.
final class EventList: RunSink {
    private let list = Mutex<[RunEvent]>([])
    func receive(_ recorded: RecordedEvent) { list.withLock { $0.append(recorded.event) } }
    var all: [RunEvent] { list.withLock { $0 } }
}

/// A script that was run with shells as guests.
struct TestScript {
    let status: LabResults.ExitStatus
    let events: [RunEvent]
    let live: Int
    let report: RunReport

    var results: [TaskResult] { events.compactMap { if case .taskFinished(let result) = $0 { result } else { nil } } }
    var steps: [StepResult] { events.compactMap { if case .stepFinished(let result) = $0 { result } else { nil } } }
    var notes: [String] { events.compactMap { if case .note(.info, let text) = $0 { text } else { nil } } }

    /// How the script itself went.
    var main: TaskResult? { results.last }

    /// Runs a script to its end. Nothing may be left of it. Once there was an event that `when` wants, `then` has its machines.
    static func run(
        _ text: String, arguments: [String] = [], isTrusted: Bool = false, files: [String: String] = [:],
        cancelWhen: (@Sendable (RunEvent) -> Bool)? = nil,
        when: (@Sendable (RunEvent) -> Bool)? = nil,
        then: @escaping @Sendable (ShellBackend) async throws -> Void = { _ in }
    ) async throws -> TestScript {
        try await withTemporaryFolder { folder in
            for (name, content) in files {
                try FileTree.makeFolder(folder)
                let file = try OwnedDescriptor.open("\(folder)/\(name)", 0o101)
                _ = content.utf8CString.withUnsafeBytes { write(file.number, $0.baseAddress, content.utf8.count) }
            }
            let events = EventList()
            let report = ReportSink([])
            let cancellation = Completion<Void>()
            let trigger = Trigger(when: cancelWhen ?? { _ in false }, cancellation)
            let moment = Completion<Void>()
            let recorder = RunRecorder(sinks: [events, report, trigger, Trigger(when: when ?? { _ in false }, moment)])
            let journal = try RunJournal.begin(
                lab: "test", results: nil,
                in: RunFolders(journals: folder + "/journals", temporary: folder + "/run"))
            defer { journal.end() }
            let backend = ShellBackend()
            let script = Script(path: "\(folder)/test.lua", text: text, bytes: Array(text.utf8))
            recorder.emit(
                .runStarted(
                    script.description(
                        host: HostDescription(name: "h", kernel: "k", cores: 1, memory: 1), version: "0")))
            let limits = LiveLimits(timeouts: Timeouts(boot: .seconds(60), task: .seconds(60)))
            let run = ScriptRun(
                script, resources: .shells(backend),
                options: ScriptRun.Options(
                    arguments: arguments, variables: ["COLOUR": "red"], isTrusted: isTrusted, limits: limits,
                    catalog: ["debian"]),
                recorder: recorder,
                results: try RunDirectory.create(lab: "test", out: folder + "/results"), journal: journal)
            let task = Task { await run.run() }
            let canceller = Task {
                if (try? await cancellation.wait()) != nil { task.cancel() }
            }
            let intervention = Task { if (try? await moment.wait()) != nil { try await then(backend) } }
            let status = await task.value
            canceller.cancel()
            intervention.cancel()
            #expect(backend.census.live == 0, "machines are left")
            return TestScript(
                status: status, events: events.all, live: backend.census.live, report: report.report)
        }
    }
}

extension ScriptFleet.Resources {
    /// What boots shells as guests of the image `debian`.
    static func shells(_ backend: ShellBackend) -> ScriptFleet.Resources {
        ScriptFleet.Resources(
            memory: .gibibytes(10), slots: 100, boots: 8,
            plan: { lab in
                try RunPlan.make(
                    lab: lab,
                    images: [
                        "debian": ImageFacts(
                            os: .linux, defaultMemory: .mebibytes(100), minimumMemory: .mebibytes(1))
                    ],
                    budget: MemoryBudget(limit: .gibibytes(10), explanation: "a test"),
                    backend: { _, _ throws(Diagnostic) in backend })
            },
            images: { _ in
                [
                    "debian": BootableImage(
                        name: "debian", id: "0", os: .linux, kernel: nil, defaultMemory: .mebibytes(100),
                        minimumMemory: .mebibytes(1))
                ]
            })
    }
}

/// Fulfils its completion at the first event that is wanted.
private final class Trigger: RunSink {
    private let wanted: @Sendable (RunEvent) -> Bool
    private let completion: Completion<Void>
    init(when wanted: @escaping @Sendable (RunEvent) -> Bool, _ completion: Completion<Void>) {
        (self.wanted, self.completion) = (wanted, completion)
    }
    func receive(_ recorded: RecordedEvent) { if wanted(recorded.event) { completion.fulfil() } }
}

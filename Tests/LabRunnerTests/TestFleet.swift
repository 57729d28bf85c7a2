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

/// A fleet of shells, or of notebooks, and what became of it.
struct TestFleet {
    let fleet: ScriptFleet
    let sink: RecordingSink
    let backend: ShellBackend
    let notebooks: NotebookBackend?
    let folder: String

    /// Boots guests of one group.
    func boot(_ group: GuestGroup, networks: [NetworkSpec] = []) async throws -> [LiveGuest] {
        var lab = TestLab(groups: [group], backend: backend).lab
        lab.networks = networks
        return try await fleet.boot(lab)
    }

    /// The folders of snapshots that there are.
    var snapshots: [String] { get throws { try files("snapshot") } }

    /// What there is in the run's folder whose name begins so.
    func files(_ prefix: String) throws -> [String] {
        let runs = try FileTree.names(in: folder + "/run")
        return try runs.flatMap { try FileTree.names(in: "\(folder)/run/\($0)") }.filter { $0.hasPrefix(prefix) }
    }

    /// Runs `body` with a fleet; nothing may be left of it afterwards.
    static func with<Result: Sendable>(
        _ timeouts: Timeouts = Timeouts(boot: .seconds(20), task: .seconds(20)), memory: ByteCount = .gibibytes(100),
        on notebooks: NotebookBackend? = nil, goldens: GoldenShelf? = nil, clock: ManualClock? = nil,
        _ body: @escaping @Sendable (TestFleet) async throws -> Result
    ) async throws -> Result {
        try await withTemporaryFolder { folder in
            let sink = RecordingSink()
            let journal = try RunJournal.begin(
                lab: "test", results: nil,
                in: RunFolders(journals: folder + "/journals", temporary: folder + "/run"))
            defer { journal.end() }
            let backend = ShellBackend()
            let resources = ScriptFleet.Resources(
                memory: memory, slots: 100, boots: 4,
                plan: { lab in
                    var test = TestLab(groups: lab.groups, backend: backend)
                    test.networks = lab.networks
                    return try test.plan(on: notebooks)
                },
                images: { _ in ["debian": TestLab().image] }, goldens: goldens)
            let fleet = ScriptFleet(
                resources: resources, limits: LiveLimits(timeouts: timeouts), recorder: RunRecorder(sinks: [sink]),
                results: try RunDirectory.create(lab: "test", out: folder + "/results"), journal: journal)
            let test = TestFleet(fleet: fleet, sink: sink, backend: backend, notebooks: notebooks, folder: folder)
            defer {
                #expect(backend.census.live == 0 && notebooks?.live ?? 0 == 0, "machines are left")
            }
            return try await HostClock.$current.withValue(clock ?? ContinuousClock()) {
                try await fleet.run { try await body(test) }
            }
        }
    }
}

extension LiveGuest {
    /// A command's output and status.
    func say(_ script: String, timeout: Duration? = nil) async throws -> (String, Int32) {
        let output = Mutex<[UInt8]>([])
        let result = try await run(GuestCommand(script), timeout: timeout) { bytes in output.withLock { $0 += bytes } }
        return (output.withLock { String(decoding: $0, as: UTF8.self) }, result.exit)
    }
}

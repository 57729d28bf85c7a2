import Glibc
import LabResults
import LabTestSupport
import Testing

@testable import HostResources
@testable import HostSystem
@testable import LabSpec

@Suite("Shares of guests", .timeLimit(.minutes(1)))
struct GuestSharesTests {
    private static let own = "/sys/fs/cgroup/run.scope"

    private func withShares(
        _ groups: [GuestGroup], eager: Bool = true, files: FakeControlGroups?,
        _ body: (GuestShares, [RunningMachine], RecordingSink, RunJournal) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            let folders = RunFolders(journals: folder + "/journals", temporary: folder + "/run")
            let journal = try RunJournal.begin(lab: "test", results: nil, in: folders)
            defer { journal.end() }
            let sink = RecordingSink()
            let shares = GuestShares(
                groups: eager ? groups : [], journal: journal, recorder: RunRecorder(sinks: [sink]),
                processes: ProcessTable(root: folder)
            ) { journal in
                guard let files else {
                    throw ControlGroupDelegation.Refusal(reason: "it is not ours", remedy: "ask for it")
                }
                let delegation = try ControlGroupDelegation.find(folder: Self.own, files: files) {
                    $0 == getpid() || $0 >= 4_000_000
                }.get()
                let tree = try ControlGroupTree(delegation, name: "vmlab-\(journal.id)", files: files) {
                    try journal.record(.controlGroup($0))
                }
                return (tree, delegation.controllers)
            }
            let machines = groups.flatMap { group in group.guests.map { ($0.name, group) } }.enumerated().map {
                RunningMachine(number: $0, guest: $1.0, group: $1.1, processID: pid_t(4_000_000 + $0))
            }
            try await body(shares, machines, sink, journal)
        }
    }

    private func weighted(_ name: String, cpu: Int? = nil, io: Int? = nil) -> GuestGroup {
        var group = GuestGroup(name: name, count: nil, image: "debian")
        group.cpuWeight = cpu
        group.ioWeight = io
        return group
    }

    private func warnings(_ sink: RecordingSink) -> [String] {
        sink.events.compactMap { if case .note(.warning, let message) = $0 { message } else { nil } }
    }

    @Test("every machine has a group, which the journal knows, and is gone with it")
    func groups() async throws {
        let files = FakeControlGroups(folder: Self.own, controllers: ["cpu", "io"], processes: [getpid()])
        try await withShares([weighted("a", cpu: 200, io: 10), weighted("b")], files: files) {
            shares, machines, sink, journal in
            for machine in machines {
                // Born where the runner is.
                files.begin(machine.processID, in: try #require(files.group(of: getpid())))
                await shares.started(machine)
            }
            let base = "\(Self.own)/vmlab-\(journal.id)"
            #expect(files.text("\(base)/guest-a/cpu.weight") == "200")
            #expect(files.text("\(base)/guest-a/io.weight") == "default 10")
            #expect(files.group(of: machines[1].processID) == "\(base)/guest-b")
            let record = try #require(RunRecord(try SmallFile.bytes("\(journalFile(journal))")))
            #expect(
                record.resources == [
                    .controlGroup(base + "-runner"), .controlGroup(base), .controlGroup(base + "/guest-a"),
                    .controlGroup(base + "/guest-b"),
                ])
            for machine in machines {
                files.end(machine.processID)
                await shares.ended(machine)
            }
            shares.close()
            #expect(files.paths == [Self.own] && files.group(of: getpid()) == Self.own)
            #expect(warnings(sink).isEmpty)
        }
    }

    private func journalFile(_ journal: RunJournal) -> String {
        let root = journal.directory.split(separator: "/").dropLast(2).map { "/" + $0 }.joined()
        return "\(root)/journals/\(journal.id)/journal"
    }

    @Test("a guest's next machine comes into the group before the last one has left it")
    func replaced() async throws {
        let files = FakeControlGroups(folder: Self.own, controllers: ["cpu", "io"], processes: [getpid()])
        try await withShares([weighted("a", cpu: 200)], files: files) { shares, machines, sink, journal in
            let first = machines[0]
            let second = RunningMachine(number: 0, guest: first.guest, group: first.group, processID: 77)
            for machine in [first, second] {
                await shares.started(machine)
                files.begin(machine.processID, in: "\(Self.own)/vmlab-\(journal.id)/guest-a")
            }
            files.end(first.processID)
            await shares.ended(first)
            #expect(files.group(of: 77) != nil)
            files.end(77)
            await shares.ended(second)
            shares.close()
            #expect(files.paths == [Self.own])
        }
    }

    @Test("nothing is made where no guest asks for a share; a script's first that does has them made")
    func lazy() async throws {
        let files = FakeControlGroups(folder: Self.own, controllers: ["cpu"], processes: [getpid()])
        try await withShares([weighted("a"), weighted("b", cpu: 5)], eager: false, files: files) {
            shares, machines, sink, _ in
            await shares.started(machines[0])
            #expect(files.paths == [Self.own])
            files.begin(machines[1].processID, in: Self.own)
            await shares.started(machines[1])
            #expect(files.paths.count > 1)
            #expect(warnings(sink).first?.contains("`ioWeight`: the io controller was not delegated") == true)
            files.end(machines[1].processID)
            for machine in machines { await shares.ended(machine) }
            shares.close()
            #expect(files.paths == [Self.own])
        }
    }

    @Test("without delegation there is one warning with the remedy, and the lab runs")
    func refused() async throws {
        try await withShares([weighted("a", cpu: 20), weighted("b", cpu: 300)], files: nil) {
            shares, machines, sink, _ in
            for machine in machines { await shares.started(machine) }
            for machine in machines { await shares.ended(machine) }
            shares.close()
            let warnings = warnings(sink)
            #expect(warnings.count == 1)
            #expect(warnings[0].contains("it is not ours") && warnings[0].hasSuffix("(ask for it)"))
        }
    }

    @Test(
        "nice values go by steps of a quarter",
        arguments: [
            (1, 19), (10, 10), (50, 3), (80, 1), (99, nil), (100, nil), (500, nil),
        ] as [(Int, Int?)])
    func niceness(weight: Int, nice: Int?) {
        #expect(GuestShares.niceness(ofWeight: weight) == nice)
    }
}

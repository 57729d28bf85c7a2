import Diagnostics
import HostSystem
import HostResources
import LabResults
import LabTestSupport
import Synchronization
import Testing

@testable import LabScripting
@testable import LabSpec

/// What a session answers to some inputs, with shells as the guests of a lab.
private func answers(
    to inputs: [String], groups: [GuestGroup] = []
) async throws -> [ScriptSession.Answer] {
    try await withTemporaryFolder { folder in
        let journal = try RunJournal.begin(
            lab: "test", results: nil, in: RunFolders(journals: folder + "/journals", temporary: folder + "/run"))
        defer { journal.end() }
        let lab = Lab(
            name: "test", source: SourceFile(path: "lab.yaml", text: ""), directory: folder, groups: groups, tasks: [],
            timeouts: Timeouts(boot: .seconds(60), task: .seconds(60)))
        let backend = ShellBackend()
        let answers = Mutex<[ScriptSession.Answer]>([])
        try await ScriptSession.run(
            groups.isEmpty ? nil : lab, resources: .shells(backend), options: ScriptRun.Options(catalog: ["debian"]),
            recorder: RunRecorder(sinks: []),
            results: try RunDirectory.create(lab: "test", out: folder + "/results"), journal: journal, print: { _ in }
        ) { session in
            for input in inputs {
                let answer = await session.evaluate(input)
                answers.withLock { $0.append(answer) }
            }
        }
        #expect(backend.census.live == 0)
        return answers.withLock { $0 }
    }
}

@Suite("Conversations in Lua") struct SessionTests {
    @Test("N25: guests are variables, a group is a list, and names of Lua stay what they are")
    func variables() async throws {
        let groups = [
            GuestGroup(name: "lin", count: 2, image: "debian"), GuestGroup(name: "web-server", image: "debian"),
            GuestGroup(name: "print", image: "debian"),
        ]
        let answers = try await answers(
            to: [
                "lin[1].name", "#lin", "lin_2.name", "web_server.name", "lab.guests.lin[2].name",
                "lab.guests['lin-1'].name",
                "type(print)", "lab.guests.print.name",
            ], groups: groups)
        let values = answers.map { if case .values(let values) = $0 { values.joined() } else { "\($0)" } }
        let expected = ["lin-1", "2", "lin-2", "web-server", "lin-2", "lin-1", "function", "print"]
        #expect(values == expected.map { $0 == "2" ? $0 : $0.debugDescription })
    }

    @Test("an input goes on where the last one ended: values, failures, what is not complete")
    func inputs() async throws {
        let answers = try await answers(to: ["x = 1", "x + 1", "if x then", "error('no')", "nil, 2"])
        #expect(answers[0] == .values([]))
        #expect(answers[1] == .values(["2"]))
        #expect(answers[2] == .incomplete)
        #expect(answers[3] == .failure("input:1: no"))
        #expect(answers[4] == .values(["nil", "2"]))
    }
}

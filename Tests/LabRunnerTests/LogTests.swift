import GuestConsole
import LabSpec
import LabTestSupport
import Testing

/// What `--log-level` shows of a run.
@Suite("The log of a run", .timeLimit(.minutes(2)))
struct LogTests {
    @Test(
        "At debug one can follow a guest from its claim to its end, with its phases in order; commands' texts are at trace"
    )
    func phases() async throws {
        let lab = TestLab(tasks: [task("t", "echo secret")])
        let records = try await CapturedLog.records { try await lab.run() }
        let debug = records.filter { $0.level == .debug && $0.metadata["guest"] == "g" }.map { "\($0.message)" }
        let phases = [
            "admitted", "boots cold", "machine started", "greeting received", "session opened", "shell ready",
            "ready", "task begins", "command begins", "command ended", "task ended", "machine ended",
            "memory released",
        ]
        #expect(phases.filter(debug.contains) == phases, "\(debug)")
        // Others may come in between.
        var rest = debug[...]
        for phase in phases { rest = rest.drop { $0 != phase }.dropFirst() + (rest.contains(phase) ? [] : ["lost"]) }
        #expect(!rest.contains("lost"), "\(debug)")
        let secret = records.filter { "\($0.message) \($0.metadata)".contains("secret") }
        #expect(!secret.isEmpty && secret.allSatisfy { $0.level == .trace })
        let ready = try #require(records.first { $0.message == "ready" })
        #expect(ready.metadata["ms"] != nil)
    }

    @Test("Who waits for room is told with why, and with the memory's figures")
    func admission() async throws {
        let lab = TestLab(
            groups: [group("g", count: 2, memory: .mebibytes(100))], tasks: [task("t", on: ["g-1", "g-2"])],
            limit: .mebibytes(150))
        let records = try await CapturedLog.records { try await lab.run() }
        let waits = try #require(records.first { "\($0.message)".hasPrefix("waits for ") })
        #expect(waits.metadata["limit"] == "150MiB" && waits.metadata["taken"] == "100MiB")
        #expect(waits.metadata["claim"] == "100MiB" && waits.metadata["guests"] == "1")
        let admitted = records.filter { $0.message == "admitted" }
        #expect(Set(admitted.map { "\($0.metadata["guest"] ?? "")" }) == ["g-1", "g-2"])
    }

    @Test("A golden's making and each guest's start from it are told")
    func goldens() async throws {
        var lab = TestLab(tasks: [task("t")])
        let records = try await withTemporaryFolder { folder in
            lab.goldens = GoldenShelf(in: folder)
            return try await CapturedLog.records { try await lab.run(on: NotebookBackend()) }
        }
        let messages = records.map { "\($0.message)" }
        #expect(messages.contains("golden is made") && messages.contains("golden found"), "\(messages)")
        #expect(messages.contains("starts from a snapshot"), "\(messages)")
    }
}

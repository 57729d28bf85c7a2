import HostSystem
import QMP
import Testing

@testable import LabMachines

@Suite("QEMU's events")
struct QEMUDialectTests {
    private let saver = QEMUSaver(drives: [], memory: .anonymous)

    @Test("SeaBIOS's second reset within a second is a part of the first")
    func resets() {
        let dialect = QEMUDialect(saver)
        let times: [Int64] = [0, 35_000, 1_034_999, 2_034_999, 4_000_000]
        #expect(
            times.map { dialect.receive(QMPEvent(.reset, time: $0)) } == [true, false, false, true, true])
        #expect(dialect.receive(QMPEvent(.stop, time: 4_000_001)))
    }

    @Test(
        "A migration ends as QEMU tells, or with the connection",
        arguments: ["completed", "failed", "cancelled", "closed"])
    func migrations(end: String) async throws {
        let dialect = QEMUDialect(saver)
        #expect(try await saver.migration.end(within: .zero) == .completed, "none has begun")
        saver.migration.begin()
        _ = dialect.receive(QMPEvent("MIGRATION", ["status": "active"]))
        await #expect(throws: DeadlineExceeded.self) { try await saver.migration.end(within: .zero) }
        if end == "closed" {
            dialect.close()
        } else {
            _ = dialect.receive(QMPEvent("MIGRATION", ["status": .string(end)]))
        }
        #expect(try await saver.migration.end(within: .seconds(20)).rawValue == end)
        #expect(!saver.migration.isResumed)
        _ = dialect.receive(QMPEvent(.resume))
        #expect(saver.migration.isResumed)
    }
}

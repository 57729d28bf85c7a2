import GuestControl
import QMP
import Synchronization

/// QEMU's dialect: it saves by migration, and may report one reset twice.
final class QEMUDialect: MachineDialect {
    /// Resets within this many microseconds count as one: SeaBIOS resets the machine again after a warm restart, 35 ms later on
    /// an idle host, and no system boots and resets within one second.
    private static let resetWindow: Int64 = 1_000_000

    private let saver: QEMUSaver
    private let lastReset = Mutex<Int64?>(nil)

    init(_ saver: QEMUSaver) { self.saver = saver }

    func save(_ monitor: QMPClient, to folder: String) async throws -> SavedMachine {
        try await saver.save(monitor, to: folder)
    }

    func receive(_ event: QMPEvent) -> Bool {
        saver.migration.receive(event)
        guard event.name == .reset else { return true }
        return lastReset.withLock { last in
            defer { last = event.time }
            return last.map { event.time &- $0 >= Self.resetWindow } ?? true
        }
    }

    func close() { saver.migration.close() }

    /// A vCPU runs user code at privilege level 3.
    func isInProgram(_ monitor: QMPClient) async -> Bool {
        let answer = try? await monitor.execute(
            "human-monitor-command", ["command-line": "info registers -a"], timeout: .seconds(1))
        return answer?.stringValue?.contains("CPL=3") == true
    }
}

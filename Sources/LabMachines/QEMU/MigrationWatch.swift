import HostSystem
import QMP
import Synchronization

/// Tracks how QEMU's migrations end, one at a time.
final class MigrationWatch: Sendable {
    /// How a migration ended: QEMU's names.
    enum End: String {
        case completed
        case failed
        case cancelled
        /// No more events will come. Not one of QEMU's.
        case closed
    }

    private struct State {
        var isClosed = false
        var isResumed = false
        var end: Completion<End>?
    }

    private let state = Mutex(State())

    func begin() {
        state.withLock { state in
            let end = Completion<End>()
            if state.isClosed { end.fulfil(.closed) }
            state.end = end
            state.isResumed = false
        }
    }

    /// Whether the machine was resumed since the last migration began.
    var isResumed: Bool { state.withLock { $0.isResumed } }

    func receive(_ event: QMPEvent) {
        if event.name == .resume { state.withLock { $0.isResumed = true } }
        guard event.name == "MIGRATION", let end = event.data["status"]?.stringValue.flatMap(End.init) else { return }
        state.withLock { $0.end }?.fulfil(end)
    }

    func close() {
        let end = state.withLock { state in
            state.isClosed = true
            return state.end
        }
        end?.fulfil(.closed)
    }

    /// Waits for the last migration to end; `completed` when there was none. Throws `DeadlineExceeded` and `CancellationError`.
    func end(within patience: Duration) async throws -> End {
        guard let end = state.withLock({ $0.end }) else { return .completed }
        return try await withDeadline(.now + patience) { try await end.wait() }
    }
}

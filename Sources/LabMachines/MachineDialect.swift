import GuestControl
import QMP

/// In what a machine's program differs from others that speak QMP: how it keeps a machine's state, and what it makes of events.
protocol MachineDialect: Sendable {
    /// See `Machine.save`.
    func save(_ monitor: QMPClient, to folder: String) async throws -> SavedMachine
    /// Sees each of the machine's events, in their order. False for one that only repeats what another has told.
    func receive(_ event: QMPEvent) -> Bool
    /// No event comes any more.
    func close()
    /// Whether a processor is in a program of the guest's, not in its kernel; false where the program does not tell.
    func isInProgram(_ monitor: QMPClient) async -> Bool
}

extension MachineDialect {
    func receive(_ event: QMPEvent) -> Bool { true }
    func close() {}
    func isInProgram(_ monitor: QMPClient) async -> Bool { false }
}

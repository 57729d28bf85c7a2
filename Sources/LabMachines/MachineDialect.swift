import Diagnostics
import GuestControl
import HostSystem
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

/// Makes an empty scratch disk. Throws a `Diagnostic`.
func makeScratchDisk(_ path: String, _ bytes: UInt64) throws(Diagnostic) {
    do throws(SystemCallError) {
        try FileTree.makeSparseFile(path, size: bytes)
    } catch {
        throw error.diagnostic("cannot make the scratch disk \(path)")
    }
}

extension MachineDialect {
    /// What `body` saves. Throws a `Diagnostic` for what the machine or the host does not do.
    static func saving(_ body: () async throws -> SavedMachine) async throws -> SavedMachine {
        do {
            return try await body()
        } catch let error as QMPError {
            throw Diagnostic(.host, "the guest's state could not be saved", cause: error.description)
        } catch let error as SystemCallError {
            throw error.diagnostic("the guest's state could not be saved")
        }
    }

    /// Copies a disk that the machine writes to.
    static func copyDisk(_ path: String, to copy: String) async throws {
        try await Tool.run("cp", ["--sparse=auto", "--reflink=auto", path, copy], package: "coreutils")
            .checked("the guest's disks could not be saved")
    }

    func receive(_ event: QMPEvent) -> Bool { true }
    func close() {}
    func isInProgram(_ monitor: QMPClient) async -> Bool { false }
}

import Diagnostics
import GuestControl
import HostSystem
import QMP

/// The differences between programs that speak QMP: how they save a machine, and what their events mean.
protocol MachineDialect: Sendable {
    /// See `Machine.save`.
    func save(_ monitor: QMPClient, to folder: String) async throws -> SavedMachine
    /// Receives each event in order. False for an event that only repeats an earlier one.
    func receive(_ event: QMPEvent) -> Bool
    /// The end of the events.
    func close()
    /// Whether a vCPU runs user code, not kernel code; false where the program cannot tell.
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
    /// Runs `body`, a save. Throws a `Diagnostic` for what the machine or the host cannot do.
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

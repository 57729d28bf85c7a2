import CLinux
import Glibc

/// A process that is not (or no longer) our child, held by a pidfd so that a reused id cannot be confused with it.
public struct ForeignProcess: ~Copyable, Sendable {
    private let pidfd: OwnedDescriptor

    /// The running process with this id, start time (clock ticks since boot) and `program` in its command line; nil without one.
    public static func find(_ processID: pid_t, startTime: UInt64, program: String) -> ForeignProcess? {
        let number = vmlab_pidfd_open(processID)
        guard number >= 0 else { return nil }
        let process = ForeignProcess(pidfd: OwnedDescriptor(owning: number))
        // Checked after the pidfd was opened, which rules out a reused id.
        let table = ProcessTable()
        guard table.isAlive(processID, startTime: startTime),
            table.commandLine(of: processID)?.contains(where: { $0.contains(program) }) == true
        else { return nil }
        return process
    }

    private init(pidfd: consuming OwnedDescriptor) {
        self.pidfd = pidfd
    }

    /// Kills it and waits for its end. Throws when not permitted, and `DeadlineExceeded` after ten seconds.
    public func kill() async throws {
        guard vmlab_pidfd_send_signal(pidfd.number, SIGKILL) == 0 else {
            if errno == ESRCH { return }
            throw SystemCallError("kill")
        }
        let readiness = try Readiness(of: pidfd.number)
        defer { readiness.end() }
        try await withDeadline(.now + .seconds(10)) { try await readiness.readable() }
    }
}

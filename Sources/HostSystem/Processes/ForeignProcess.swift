import CLinux
import Glibc

/// A process that is not (or no longer) our child, held by a pidfd so that its number cannot become another's.
public struct ForeignProcess: ~Copyable, Sendable {
    private let pidfd: OwnedDescriptor

    /// Takes hold of the process with this id if it still runs, started when `startTime` says (clock ticks since boot) and
    /// has `program` in its command line; nil when there is no such process.
    public static func find(_ processID: pid_t, startTime: UInt64, program: String) -> ForeignProcess? {
        let number = vmlab_pidfd_open(processID)
        guard number >= 0 else { return nil }
        let process = ForeignProcess(pidfd: OwnedDescriptor(owning: number))
        // Looked at after the pidfd was opened: from here on it is this process and no other of the same number.
        let table = ProcessTable()
        guard table.isAlive(processID, startTime: startTime),
            table.commandLine(of: processID)?.contains(where: { $0.contains(program) }) == true
        else { return nil }
        return process
    }

    private init(pidfd: consuming OwnedDescriptor) {
        self.pidfd = pidfd
    }

    /// Kills it and waits for its end. Throws when we may not, and `DeadlineExceeded` when it has not ended in ten seconds.
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

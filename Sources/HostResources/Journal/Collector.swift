import Glibc
import HostSystem
import Logging

/// Removes what killed runs left behind: `vmlab gc`.
public enum Collector {
    /// What was done about one dead run.
    public struct CollectedRun: Sendable, Hashable {
        /// The run's id.
        public var run: String
        /// Its lab.
        public var lab: String
        /// The processes that were still alive and have been killed, such as `lin-1 (process 1234)`.
        public var killed: [String] = []
        /// The paths that were still there and have been removed.
        public var removed: [String] = []
        /// What could not be removed, and why. The journal is then kept for the next collection.
        public var failures: [String] = []
    }

    /// Collects every run of this user whose runner is gone. Skips live runs and those that another collector holds. Never
    /// throws: failures are in the result.
    public static func collect(in folders: RunFolders = .standard) async -> [CollectedRun] {
        var runs: [CollectedRun] = []
        for journal in RunRegistry.journals(in: folders) {
            if let run = await collect(journal: journal) { runs.append(run) }
        }
        return runs
    }

    /// Collects one run. Nil when the run is live, another collector holds it, or the file is no journal.
    private static func collect(journal: String) async -> CollectedRun? {
        guard let file = try? OwnedDescriptor.open(journal, O_RDONLY), (try? file.tryLock(LOCK_EX, journal)) == true,
            // Another collector may have removed it between our open and our lock.
            file.isStill(at: journal), let bytes = try? SmallFile.bytes(journal), let record = RunRecord(bytes),
            !record.isRunnerAlive
        else { return nil }
        let log = Logger(label: "vmlab.resources")
        log.debug(
            "found a killed run",
            metadata: [
                "run": "\(record.head.run)", "lab": "\(record.head.lab)", "runner": "\(record.head.processID)",
                "resources": "\(record.resources.count)",
            ])
        var run = CollectedRun(run: record.head.run, lab: record.head.lab)
        for case .child(let guest, let processID, let startTime, let program) in record.resources
        where record.head.bootID == RunRecord.bootID {
            await kill(processID, startTime: startTime, program: program, guest: guest, &run)
        }
        for resource in record.resources.reversed() {
            switch resource {
            case .child: break
            case .path(let path): removeTree(path, &run)
            case .controlGroup(let path):
                guard FileTree.exists(path) else { break }
                remove(path, &run) { () throws(SystemCallError) in try systemCall("rmdir", path) { rmdir(path) } }
            }
        }
        removeTree(record.head.directory, &run)
        if run.failures.isEmpty { try? FileTree.remove(FilePath.folder(of: journal)) }
        _ = consume file
        log.debug(
            "removed what it left",
            metadata: [
                "run": "\(run.run)", "killed": "\(run.killed)", "removed": "\(run.removed)",
                "failures": "\(run.failures)",
            ])
        return run
    }

    private static func kill(
        _ processID: pid_t, startTime: UInt64, program: String, guest: String, _ run: inout CollectedRun
    ) async {
        guard let process = ForeignProcess.find(processID, startTime: startTime, program: program) else { return }
        do {
            try await process.kill()
            run.killed.append("\(guest) (process \(processID))")
        } catch let error as SystemCallError {
            run.failures.append("\(guest) (process \(processID)): \(error)")
        } catch {
            run.failures.append("\(guest) (process \(processID)) was killed but has not ended")
        }
    }

    private static func removeTree(_ path: String, _ run: inout CollectedRun) {
        // A journal belongs to this user, but a damaged one must not remove more than a run can have made.
        let parts = path.split(separator: "/")
        guard path.hasPrefix("/"), parts.count >= 3, !parts.contains(".."), FileTree.exists(path) else { return }
        remove(path, &run) { () throws(SystemCallError) in try FileTree.remove(path) }
    }

    private static func remove(
        _ path: String, _ run: inout CollectedRun, by removal: () throws(SystemCallError) -> Void
    ) {
        do throws(SystemCallError) {
            try removal()
            run.removed.append(path)
        } catch {
            run.failures.append(error.description)
        }
    }
}

import Glibc
import HostSystem
import Logging

/// Removes what killed runs left behind: `vmlab gc`.
public enum Collector {
    /// What was done about one dead run.
    public struct Report: Sendable, Hashable {
        /// The run's id.
        public var run: String
        /// Its lab.
        public var lab: String
        /// The processes that were still alive and have been killed, such as `lin-1 (process 1234)`.
        public var killed: [String] = []
        /// The paths that were still there and have been removed.
        public var removed: [String] = []
        /// What could not be removed, and why; then the journal is kept for the next time.
        public var failures: [String] = []
    }

    /// Collects every run of this user whose runner is gone. Leaves live runs alone, and those that another collector is
    /// at. Never fails: what goes wrong is in the reports.
    public static func collect(in folders: RunFolders = .standard) async -> [Report] {
        var reports: [Report] = []
        for journal in RunRegistry.journals(in: folders) {
            if let report = await collect(journal: journal) { reports.append(report) }
        }
        return reports
    }

    /// Collects one run; nil when it lives, is somebody else's turn, or is no journal.
    private static func collect(journal: String) async -> Report? {
        guard let file = try? OwnedDescriptor.open(journal, O_RDONLY), flock(file.number, LOCK_EX | LOCK_NB) == 0,
            // Another collector may have finished with it between our opening and locking it.
            isStillThere(file.number), let bytes = try? SmallFile.bytes(journal), let record = RunRecord(bytes),
            !record.isRunnerAlive
        else { return nil }
        let log = Logger(label: "vmlab.resources")
        log.debug(
            "found a killed run",
            metadata: [
                "run": "\(record.head.run)", "lab": "\(record.head.lab)", "runner": "\(record.head.processID)",
                "resources": "\(record.resources.count)",
            ])
        var report = Report(run: record.head.run, lab: record.head.lab)
        for case .child(let guest, let processID, let startTime, let program) in record.resources
        where record.head.bootID == RunRecord.bootID {
            await kill(processID, startTime: startTime, program: program, guest: guest, &report)
        }
        for resource in record.resources.reversed() {
            switch resource {
            case .child: break
            case .path(let path): remove(path, &report)
            case .controlGroup(let path):
                if access(path, F_OK) == 0 {
                    if rmdir(path) == 0 { report.removed.append(path) } else { fail("rmdir", path, &report) }
                }
            }
        }
        remove(record.head.directory, &report)
        if report.failures.isEmpty, let slash = journal.lastIndex(of: "/") {
            try? FileTree.remove(String(journal[..<slash]))
        }
        _ = consume file
        log.debug(
            "removed what it left",
            metadata: [
                "run": "\(report.run)", "killed": "\(report.killed)", "removed": "\(report.removed)",
                "failures": "\(report.failures)",
            ])
        return report
    }

    private static func isStillThere(_ number: Int32) -> Bool {
        var status = stat()
        return fstat(number, &status) == 0 && status.st_nlink > 0
    }

    private static func kill(
        _ processID: pid_t, startTime: UInt64, program: String, guest: String, _ report: inout Report
    ) async {
        guard let process = ForeignProcess.find(processID, startTime: startTime, program: program) else { return }
        do {
            try await process.kill()
            report.killed.append("\(guest) (process \(processID))")
        } catch let error as SystemCallError {
            report.failures.append("\(guest) (process \(processID)): \(error)")
        } catch {
            report.failures.append("\(guest) (process \(processID)) was killed but has not ended")
        }
    }

    private static func remove(_ path: String, _ report: inout Report) {
        // A journal is this user's own, but a damaged one must not cost more than what a run can have made.
        let parts = path.split(separator: "/")
        guard path.hasPrefix("/") && parts.count >= 3 && !parts.contains("..") else { return }
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        do throws(SystemCallError) {
            try FileTree.remove(path)
            report.removed.append(path)
        } catch {
            report.failures.append(error.description)
        }
    }

    private static func fail(_ call: String, _ subject: String, _ report: inout Report) {
        report.failures.append(SystemCallError(call, subject).description)
    }
}

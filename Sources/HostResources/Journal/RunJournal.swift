import Diagnostics
import Glibc
import HostSystem
import Synchronization

/// The resources of a run on this host, each recorded before it is made, so that `vmlab gc` can remove them after a crash. The
/// runner locks the journal for its whole life: whoever gets the lock knows that the run is over.
public final class RunJournal: Sendable {
    /// The journal's first line: the runner, the lab and the folders.
    public let head: RunHead
    /// The run's id.
    public var id: String { head.run }
    /// This run's folder for temporary files, with a short path; removed by `end`.
    public var directory: String { head.directory }

    /// The temporary folders of this process's unfinished runs, by run id.
    private static let folders = Mutex<[String: String]>([:])

    private let file: Mutex<OwnedDescriptor>
    private let folder: String

    /// Begins a run: makes its journal and its temporary folder. Throws a `Diagnostic`.
    public static func begin(
        lab: String, results: String?, in folders: RunFolders = .standard
    ) throws -> RunJournal {
        try folders.makeTemporary()
        do throws(SystemCallError) {
            return try RunJournal(lab: lab, results: results, folders)
        } catch {
            throw error.diagnostic("cannot begin a run")
        }
    }

    private init(lab: String, results: String?, _ folders: RunFolders) throws(SystemCallError) {
        var now = time(nil)
        let random = String(UInt32.random(in: 0..<(36 * 36 * 36 * 36)), radix: 36)
        let run = "\(Self.stamp(&now))-\(getpid())-\(random)"
        let folder = "\(folders.journals)/\(run)"
        self.folder = folder
        head = RunHead(
            run: run, processID: getpid(), startTime: ProcessTable().startTime(of: getpid()) ?? 0,
            bootID: RunRecord.bootID, lab: lab, results: results,
            directory: "\(folders.temporary)/\(getpid())-\(random)", began: Int64(now))
        try FileTree.makeFolder(folder, mode: 0o700)
        // Renamed into place only once it is locked and has its head, so that a collector never sees an incomplete one.
        let (draft, journal) = (folder + "/draft", folder + "/journal")
        let descriptor = try OwnedDescriptor.open(draft, O_WRONLY | O_CREAT | O_EXCL | O_APPEND)
        _ = try descriptor.tryLock(LOCK_EX, draft)
        try Self.append(RunRecord.line(head), to: descriptor.number, draft)
        try FileTree.move(draft, to: journal)
        file = Mutex(descriptor)
        let directory = head.directory
        Self.folders.withLock { $0[run] = directory }
        do throws(SystemCallError) {
            try FileTree.makeFolder(directory, mode: 0o700)
        } catch {
            end()
            throw error
        }
    }

    /// Records a resource: a path before it is made, a child as soon as it has started.
    public func record(_ resource: RunResource) throws(SystemCallError) {
        let line = RunRecord.line(resource)
        try file.withLock { file throws(SystemCallError) in
            if file.isOpen { try Self.append(line, to: file.number, folder) }
        }
    }

    /// Ends the run: removes its temporary folder, then the journal. Call it when nothing else is left. Safe to repeat. If
    /// something cannot be removed, the journal stays for `vmlab gc`.
    public func end() {
        file.withLock { file in
            guard file.isOpen else { return }
            do {
                try FileTree.remove(head.directory)
                try FileTree.remove(folder)
            } catch {}
            file.close()
        }
        Self.folders.withLock { $0[id] = nil }
    }

    /// Removes the temporary folders of this process's unfinished runs, for a process that exits before they end. Their
    /// journals stay for `vmlab gc`.
    public static func removeFolders() {
        for folder in folders.withLock({ $0.values }) { try? FileTree.remove(folder) }
    }

    private static func append(_ line: [UInt8], to number: Int32, _ path: String) throws(SystemCallError) {
        // One write with O_APPEND: after a crash or on a full disk only the last line can be incomplete.
        let written = try systemCall("write", path) { write(number, line, line.count) }
        guard written == line.count else { throw SystemCallError("write", errno: ENOSPC, path) }
    }

    private static func stamp(_ now: inout time_t) -> String {
        var parts = tm()
        gmtime_r(&now, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))"
        return "\(date)-\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))"
    }
}

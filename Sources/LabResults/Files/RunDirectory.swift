import Diagnostics
import Glibc
import HostSystem

/// A run's results directory and its layout:
///
///     results.json  events.jsonl  junit.xml
///     guests/<guest>/console.log
///     tasks/<task>/<guest>/output          artifacts/ beside it, and stderr where it is kept apart; of the last attempt
///     tasks/<task>/<guest>/attempt-1/…     the same of an attempt that was tried again
///     tasks/<task>/<guest>/<index>/output  for a task with repetitions
///     <cell>/…                             the same again for each cell of a matrix
///     <file>/…                             the same again for each of several lab files
///
/// While the value lives, no other run can use the directory.
public final class RunDirectory: Sendable {
    /// The directory's path, relative if it was given so.
    public let path: String
    /// Holds the lock on the marker file; closed for a part, whose parent holds it.
    private let lock: OwnedDescriptor
    private let parent: RunDirectory?
    /// Everything of tasks and guests is written below it: nothing outside the directory is ever opened for writing.
    private let root: HostFolder

    /// The file that identifies a results directory; only such directories are overwritten.
    private static let marker = ".vmlab-results"

    private init(locking path: String) throws(Diagnostic) {
        self.path = path
        lock = try Self.acquire(path)
        parent = nil
        root = try onDisk("cannot open the folder \(path)") { () throws(SystemCallError) in try HostFolder(path) }
    }

    private init(part name: String, of parent: RunDirectory) throws(Diagnostic) {
        path = parent.absolute(name)
        lock = OwnedDescriptor(owning: -1)
        self.parent = parent
        root = try parent.folder(RelativePath(names: [Array(name.utf8)]))
    }

    /// Creates `<root>/<lab>-<time>/`, or the directory `out`. Two runs in one second get two directories. `out` may be new, empty,
    /// or an earlier run's results, which are removed; anything else and the directory of a running run are refused.
    public static func create(
        lab: String, under root: String = "results", out: String? = nil, time: Double = RunClock().wall
    ) throws(Diagnostic) -> RunDirectory {
        if let out { return try reuse(out) }
        try makeFolder(root)
        let base = "\(root)/\(safeFileName(lab))-\(folderTimestamp(time))"
        for attempt in 1...1000 {
            let path = attempt == 1 ? base : "\(base)-\(attempt)"
            if mkdir(path, 0o777) == 0 {
                let directory = try RunDirectory(locking: path)
                directory.becomeLatest(in: root)
                return directory
            }
            let error = SystemCallError("mkdir", path)
            guard error.errno == EEXIST else { throw error.ofResults("cannot make the folder \(path)") }
        }
        throw Diagnostic(
            .host, "there are already a thousand results named \(base)", remedy: "choose a place with --out DIR")
    }

    /// The directory of one of several runs that share this one: of a lab file or a matrix cell.
    public func part(_ name: String) throws(Diagnostic) -> RunDirectory {
        let part = try RunDirectory(part: safeFileName(name), of: self)
        try FileWriter.replace("\(part.path)/\(Self.marker)") { _ in }
        return part
    }

    /// Whether it still exists: results that were removed or moved during the run are lost.
    public var isThere: Bool { FileTree.exists(absolute(Self.marker)) }

    // MARK: Layout

    /// The path of something in this directory.
    public func absolute(_ relative: String) -> String { "\(path)/\(relative)" }

    /// The whole run; relative, as are all the following.
    public static let results = "results.json"
    /// One object per event.
    public static let events = "events.jsonl"
    /// One testcase per task and guest.
    public static let junit = "junit.xml"

    /// A guest's kernel console.
    public static func consoleLog(_ guest: String) -> String { "guests/\(safeFileName(guest))/console.log" }

    /// What a task printed on a guest.
    public static func taskOutput(_ id: TaskID) -> String { "\(folder(id))/output" }

    /// What a task wrote to standard error on a guest, when that is kept apart.
    public static func taskErrors(_ id: TaskID) -> String { "\(folder(id))/stderr" }

    /// The folder of the files collected from a guest.
    public static func artifacts(_ id: TaskID) -> String { "\(folder(id))/artifacts" }

    private static func folder(_ id: TaskID) -> String {
        let base = "tasks/\(safeFileName(id.task))/\(safeFileName(id.guest ?? "none"))"
        return id.repetitions > 1 ? "\(base)/\(id.index)" : base
    }

    /// Moves the files of an attempt aside before the next one, and returns its result with the new paths. What cannot be moved
    /// stays and is overwritten by the next attempt.
    public func keep(_ attempt: TaskResult) -> TaskResult {
        let folder = Self.folder(attempt.id)
        let kept = "\(folder)/attempt-\(attempt.attempts)"
        guard (try? Self.makeFolder(absolute(kept))) != nil else { return attempt }
        var result = attempt
        if let output = attempt.outputPath, rename(absolute(output), absolute("\(kept)/output")) == 0 {
            result.outputPath = "\(kept)/output"
        }
        if let errors = attempt.errorsPath, rename(absolute(errors), absolute("\(kept)/stderr")) == 0 {
            result.errorsPath = "\(kept)/stderr"
        }
        let artifacts = Self.artifacts(attempt.id)
        if !attempt.artifacts.isEmpty, rename(absolute(artifacts), absolute("\(kept)/artifacts")) == 0 {
            result.artifacts = attempt.artifacts.map { "\(kept)/artifacts" + $0.dropFirst(artifacts.count) }
        }
        return result
    }

    /// A writer for a guest's console; makes no file yet.
    public func consoleWriter(_ guest: String, clock: RunClock) -> ConsoleLogWriter {
        ConsoleLogWriter(to: file(Self.consoleLog(guest), append: true), guest: guest, clock: clock)
    }

    /// A writer for a task's output, of which it keeps at most `limit` bytes; makes no file yet.
    public func outputWriter(_ id: TaskID, limit: Int = OutputWriter.standardLimit) -> OutputWriter {
        OutputWriter(to: file(Self.taskOutput(id), append: false), limit: limit)
    }

    /// The same for a task's standard error.
    public func errorWriter(_ id: TaskID, limit: Int = OutputWriter.standardLimit) -> OutputWriter {
        OutputWriter(to: file(Self.taskErrors(id), append: false), limit: limit)
    }

    private func file(_ relative: String, append: Bool) -> FileWriter.Target {
        .beneath(root, RelativePath(names: relative.split(separator: "/").map { Array($0.utf8) }), append: append)
    }

    /// The folder of the files collected from a guest for a task, or one in it; made when it is missing.
    public func artifacts(_ id: TaskID, in folder: RelativePath = .here) throws(Diagnostic) -> HostFolder {
        let names = Self.artifacts(id).split(separator: "/").map { Array($0.utf8) }
        return try self.folder(RelativePath(names: names).appending(folder))
    }

    private func folder(_ path: RelativePath) throws(Diagnostic) -> HostFolder {
        try onDisk("cannot make the folder \(absolute("\(path)"))") { () throws(SystemCallError) in
            try root.makeFolder(path)
        }
    }

    // MARK: Making

    private static func reuse(_ path: String) throws(Diagnostic) -> RunDirectory {
        try makeFolder(path)
        let entries = try onDisk("cannot read \(path)") { () throws(SystemCallError) in try FileTree.names(in: path) }
        guard entries.isEmpty || entries.contains(marker) else {
            throw Diagnostic(
                .specification, "\(path) is not empty and is not a results folder of vmlab",
                remedy: "name a new or an empty directory with --out, so that none of your files is overwritten")
        }
        let directory = try RunDirectory(locking: path)
        let ours: Set = [results, events, junit, "guests", "tasks"]
        for entry in entries where ours.contains(entry) || FileTree.exists("\(path)/\(entry)/\(marker)") {
            do throws(SystemCallError) {
                try directory.root.remove(RelativePath(names: [Array(entry.utf8)]))
            } catch {
                throw Diagnostic(
                    .host, "cannot remove the earlier results in \(path)/\(entry)",
                    remedy: "remove them, or choose another place with --out DIR", cause: error.description)
            }
        }
        return directory
    }

    private static func makeFolder(_ path: String) throws(Diagnostic) {
        try onDisk("cannot make the folder \(path)") { () throws(SystemCallError) in
            try FileTree.makeFolder(path, mode: 0o777)
        }
    }

    private static func acquire(_ path: String) throws(Diagnostic) -> OwnedDescriptor {
        let file = "\(path)/\(marker)"
        let lock = try onDisk("cannot write \(file)") { () throws(SystemCallError) in
            try OwnedDescriptor.open(file, O_WRONLY | O_CREAT, mode: 0o666)
        }
        // A file system without locks is accepted; only a held lock is an error.
        if (try? lock.tryLock(LOCK_EX, file)) == false {
            throw Diagnostic(
                .specification, "another run is writing to \(path)",
                remedy: "wait for it to end, or give this run its own --out DIR")
        }
        return lock
    }

    /// Makes `<root>/latest` point here, atomically. A convenience: failures are ignored.
    private func becomeLatest(in root: String) {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        try? FileTree.replace("\(root)/latest") { (draft) throws(SystemCallError) in
            try systemCall("symlink", draft) { symlink(name, draft) }
        }
    }
}

import Glibc
import HostSystem

/// A run in progress.
public struct LiveRun: Sendable, Hashable {
    /// A running guest of the run.
    public struct Guest: Sendable, Hashable {
        /// The guest's name.
        public let name: String
        /// Its machine's process.
        public let processID: Int32
        /// The process's private memory, in bytes.
        public let residentMemory: UInt64
    }

    /// The journal's first line.
    public let head: RunHead
    /// The guests whose machines are running, in the order they were started.
    public let guests: [Guest]
    /// The path of its journal.
    public let journal: String
}

/// This user's runs on this host.
public enum RunRegistry {
    /// Runs in progress, oldest first. Unreadable ones are left out.
    public static func live(in folders: RunFolders = .standard) -> [LiveRun] {
        journals(in: folders).compactMap { path in
            guard let bytes = try? SmallFile.bytes(path), let record = RunRecord(bytes), record.isRunnerAlive else {
                return nil
            }
            let table = ProcessTable()
            let guests = record.resources.compactMap { resource -> LiveRun.Guest? in
                guard case .child(let guest, let processID, let startTime, _) = resource,
                    table.isAlive(processID, startTime: startTime)
                else { return nil }
                return LiveRun.Guest(
                    name: guest, processID: processID, residentMemory: table.residentMemory(of: processID) ?? 0)
            }
            return LiveRun(head: record.head, guests: guests, journal: path)
        }
    }

    /// The journals of all runs, live or dead, oldest first.
    static func journals(in folders: RunFolders) -> [String] {
        let runs = (try? FileTree.names(in: folders.journals)) ?? []
        return runs.map { "\(folders.journals)/\($0)/journal" }.filter { access($0, F_OK) == 0 }
    }
}

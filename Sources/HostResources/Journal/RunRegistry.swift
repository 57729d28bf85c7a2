import Glibc
import HostSystem

/// A run that is going on.
public struct LiveRun: Sendable, Hashable {
    /// A machine of it.
    public struct Guest: Sendable, Hashable {
        /// The guest's name.
        public let name: String
        /// Its machine's process.
        public let processID: Int32
        /// Memory that the process has of its own, in bytes.
        public let residentMemory: UInt64
    }

    /// Who and where.
    public let head: RunHead
    /// The guests whose machines run, in the order they were started.
    public let guests: [Guest]
    /// Where its journal is.
    public let journal: String
}

/// The runs on this host by this user.
public enum RunRegistry {
    /// Runs that are going on, oldest first. What cannot be read is left out.
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

    /// The journals of all runs, whether they go on or not, oldest first.
    static func journals(in folders: RunFolders) -> [String] {
        let runs = (try? FileTree.names(in: folders.journals)) ?? []
        return runs.map { "\(folders.journals)/\($0)/journal" }.filter { access($0, F_OK) == 0 }
    }
}

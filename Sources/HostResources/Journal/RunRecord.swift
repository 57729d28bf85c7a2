import FoundationEssentials
import Glibc
import HostSystem

/// Who runs and where: the first line of a journal.
public struct RunHead: Codable, Sendable, Hashable {
    /// The run's id: time, process id and a random part.
    public var run: String
    /// The runner's process id.
    public var processID: Int32
    /// When the runner started, in clock ticks since boot.
    public var startTime: UInt64
    /// The boot id of the host at that time.
    public var bootID: String
    /// The lab's name.
    public var lab: String
    /// The folder of its results; nil when it keeps none.
    public var results: String?
    /// The folder of its temporary files.
    public var directory: String
    /// When the run began, in seconds since 1970.
    public var began: Int64
}

/// A resource that a run must remove at its end: each further line of a journal.
public enum RunResource: Codable, Sendable, Hashable {
    /// A child process; `program` is part of its command line.
    case child(guest: String, processID: Int32, startTime: UInt64, program: String)
    /// A file, socket or folder, recorded before it is made.
    case path(String)
    /// A control group's folder, recorded before it is made.
    case controlGroup(String)
}

/// A journal as read from disk.
public struct RunRecord: Sendable, Hashable {
    /// The journal's first line.
    public var head: RunHead
    /// The run's resources, in the order they were recorded.
    public var resources: [RunResource]

    /// Decodes a journal's bytes; nil without a valid head. Malformed lines, such as an incomplete last one, are skipped.
    init?(_ bytes: [UInt8]) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"))
        let decoder = JSONDecoder()
        guard let first = lines.first, let head = try? decoder.decode(RunHead.self, from: Data(first)) else {
            return nil
        }
        self.head = head
        resources = lines.dropFirst().compactMap { try? decoder.decode(RunResource.self, from: Data($0)) }
    }

    /// One line of a journal, with its line feed.
    static func line(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and integers always encode.
        guard let data = try? encoder.encode(value) else { return [] }
        return Array(data) + [UInt8(ascii: "\n")]
    }

    static var bootID: String {
        SmallFile.text("/proc/sys/kernel/random/boot_id")?.split(separator: "\n").first.map(String.init) ?? ""
    }

    var isRunnerAlive: Bool {
        head.bootID == Self.bootID && ProcessTable().isAlive(head.processID, startTime: head.startTime)
    }
}

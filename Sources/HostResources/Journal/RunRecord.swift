import FoundationEssentials
import Glibc
import HostSystem

/// Who runs and where: the first line of a journal.
public struct RunHead: Codable, Sendable, Hashable {
    /// The run's id: time, process id and a random part.
    public var run: String
    /// The runner.
    public var processID: Int32
    /// When it started, in clock ticks since boot.
    public var startTime: UInt64
    /// Which boot of the host that was.
    public var bootID: String
    /// The lab's name.
    public var lab: String
    /// Where its results go; nil when it leaves none.
    public var results: String?
    /// Its temporary files.
    public var directory: String
    /// When it began, in seconds since 1970.
    public var began: Int64
}

/// Something that a run has made and must be rid of in the end: each further line of a journal.
public enum RunResource: Codable, Sendable, Hashable {
    /// A child process; `program` is part of its command line.
    case child(guest: String, processID: Int32, startTime: UInt64, program: String)
    /// A file, socket or folder, recorded before it is made.
    case path(String)
    /// A control group's folder, recorded before it is made.
    case controlGroup(String)
}

/// A journal as read back.
public struct RunRecord: Sendable, Hashable {
    /// Who and where.
    public var head: RunHead
    /// What it made, in order.
    public var resources: [RunResource]

    /// Reads a journal's bytes; nil when the head is not there. Lines that make no sense, such as a torn last one, are
    /// skipped.
    init?(_ bytes: [UInt8]) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"))
        let decoder = JSONDecoder()
        guard let first = lines.first, let head = try? decoder.decode(RunHead.self, from: Data(first)) else {
            return nil
        }
        self.head = head
        resources = lines.dropFirst().compactMap { try? decoder.decode(RunResource.self, from: Data($0)) }
    }

    /// One line of a journal, its end included.
    static func line(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and whole numbers always encode.
        guard let data = try? encoder.encode(value) else { return [] }
        return Array(data) + [UInt8(ascii: "\n")]
    }

    /// Which boot of the host this is.
    static var bootID: String {
        SmallFile.text("/proc/sys/kernel/random/boot_id")?.split(separator: "\n").first.map(String.init) ?? ""
    }

    /// Whether the runner still runs.
    var isRunnerAlive: Bool {
        head.bootID == Self.bootID && ProcessTable().isAlive(head.processID, startTime: head.startTime)
    }
}

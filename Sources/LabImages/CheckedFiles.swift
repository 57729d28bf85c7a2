import Glibc
import HostSystem

/// Records which cache files were verified, so that they are not read at each use. A file is recorded with its length, times, inode
/// and the host's boot. The times include the ctime, which programs cannot set: changes with a restored mtime are detected. Disk
/// corruption is found once per boot, when all files are read again, and by `images verify`.
struct CheckedFiles {
    /// Stamps that detect changes of files.
    struct Stamps: Sendable, Hashable {
        fileprivate let lines: [String]
    }

    /// The folder of these records in a cache.
    static func folder(in cacheDirectory: String) -> String { "\(cacheDirectory)/checked" }

    private let path: String

    init(cacheDirectory: String, name: String) {
        path = "\(Self.folder(in: cacheDirectory))/\(name)"
    }

    /// The current stamps of files, to be taken before reading them.
    static func stamps(of files: [String]) -> Stamps {
        Stamps(lines: [SmallFile.text("/proc/sys/kernel/random/boot_id") ?? ""] + files.map(stamp))
    }

    private static func stamp(_ path: String) -> String {
        guard let facts = FileStamp(path) else { return "-" }
        return "\(path) \(facts) \(facts.changed) \(facts.device)"
    }

    /// The damage that `reading` finds; nil when there is none, which is recorded. Recorded files are not read, unless `again`
    /// is set.
    func damage(
        of files: [String], again: Bool, reading: () async throws -> String?
    ) async throws -> String? {
        let stamps = Self.stamps(of: files)
        if !again, include(stamps) { return nil }
        let damage = try await reading()
        // Corruption on disk changes no stamp: an older record would hide it.
        if damage == nil { note(stamps) } else { unlink(path) }
        return damage
    }

    /// Whether files with these stamps were verified.
    private func include(_ stamps: Stamps) -> Bool { SmallFile.text(path) == Self.text(stamps) }

    /// Records files with these stamps as verified. In a read-only cache they are read each time.
    func note(_ stamps: Stamps) {
        try? FileTree.makeFolder(FilePath.folder(of: path))
        try? SmallFile.replace(path, with: Array(Self.text(stamps).utf8), mode: 0o600)
    }

    private static func text(_ stamps: Stamps) -> String {
        stamps.lines.map { $0.split(separator: "\n").joined() + "\n" }.joined()
    }
}

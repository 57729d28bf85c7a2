import Glibc
import HostSystem

/// Remembers which files of the cache were read and found to be what was saved, so that they are not read at each use.
///
/// A file is remembered with its length, its times, its place on disk and the host's boot. One of the times is that of its last
/// change of any kind, which no program sets: whoever writes to a file and puts its other times back is noticed. What goes bad
/// on the disk itself is found once per boot of the host, when all is read again, and by `images verify`.
struct CheckedFiles {
    /// What tells that files have not changed since.
    struct Stamps: Sendable, Hashable {
        fileprivate let lines: [String]
    }

    /// The folder of these notes in a cache.
    static func folder(in cacheDirectory: String) -> String { "\(cacheDirectory)/checked" }

    private let path: String

    /// The notes on one folder of the cache.
    init(cacheDirectory: String, name: String) {
        path = "\(Self.folder(in: cacheDirectory))/\(name)"
    }

    /// The present stamps of files, to be taken before they are read.
    static func stamps(of files: [String]) -> Stamps {
        Stamps(lines: [SmallFile.text("/proc/sys/kernel/random/boot_id") ?? ""] + files.map(stamp))
    }

    private static func stamp(_ path: String) -> String {
        guard let facts = FileStamp(path) else { return "-" }
        return "\(path) \(facts) \(facts.changed) \(facts.device)"
    }

    /// What `reading` files finds wrong with them, which is noted; nil when nothing is. They are not read when they were found
    /// right before, unless `again` is set.
    func damage(
        of files: [String], again: Bool, reading: () async throws -> String?
    ) async throws -> String? {
        let stamps = Self.stamps(of: files)
        if !again, include(stamps) { return nil }
        let damage = try await reading()
        // A byte that a disk turned bad changes no stamp: an older note would have the files used.
        if damage == nil { note(stamps) } else { unlink(path) }
        return damage
    }

    /// Whether files with these stamps were found right.
    private func include(_ stamps: Stamps) -> Bool { SmallFile.text(path) == Self.text(stamps) }

    /// Notes that files that had these stamps were found right. In a cache that we may only read they are read each time.
    func note(_ stamps: Stamps) {
        try? FileTree.makeFolder(FilePath.folder(of: path))
        try? SmallFile.replace(path, with: Array(Self.text(stamps).utf8), mode: 0o600)
    }

    private static func text(_ stamps: Stamps) -> String {
        stamps.lines.map { $0.split(separator: "\n").joined() + "\n" }.joined()
    }
}

import Glibc

/// Where the files may lie that a disk's header names: a disk from elsewhere could name any file of the host, and its guest
/// would read it.
public struct DiskReach: Sendable, Hashable {
    /// Absolute folders without links; nil is everywhere.
    private let folders: [String]?

    /// Everywhere: for disks whose layers were checked before, or made by vmlab.
    public static let anywhere = DiskReach(folders: nil)

    /// Beside and below a disk file, and below these folders.
    public static func beside(_ disk: String, or folders: [String] = []) -> DiskReach {
        DiskReach(folders: ([folder(of: disk)] + folders).compactMap(real))
    }

    /// Whether a file that is there may be read, wherever links lead.
    func contains(_ path: String) -> Bool {
        guard let folders else { return true }
        guard let path = Self.real(path) else { return false }
        return folders.contains { $0 == "/" || path.hasPrefix($0 + "/") }
    }

    static func folder(of path: String) -> String {
        let end = path.lastIndex(of: "/") ?? path.startIndex
        return end == path.startIndex ? "/" : String(path[..<end])
    }

    private static func real(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}

import Glibc
import HostSystem

/// What the file system says of a path, links followed.
struct FileFacts {
    /// Length in bytes.
    let size: UInt64
    /// Whether it is a regular file.
    let isFile: Bool
    /// When it was last written, in nanoseconds since 1970.
    let modified: Int64
    /// Bytes on disk.
    let space: UInt64

    /// Nil when nothing is there.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        size = UInt64(clamping: status.st_size)
        isFile = status.st_mode & S_IFMT == S_IFREG
        space = UInt64(clamping: status.st_blocks) * 512
        modified = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
    }

    /// Bytes on disk of a file or of all files in a folder; links are not followed, what cannot be read counts as none.
    static func space(of path: String) -> UInt64 {
        var status = stat()
        guard lstat(path, &status) == 0 else { return 0 }
        let own = UInt64(clamping: status.st_blocks) * 512
        guard status.st_mode & S_IFMT == S_IFDIR else { return own }
        let names = (try? FileTree.names(in: path)) ?? []
        return names.reduce(own) { $0 + space(of: "\(path)/\($1)") }
    }
}

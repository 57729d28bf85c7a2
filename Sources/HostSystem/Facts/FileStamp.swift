import Glibc

/// By what one tells that a file has been changed or replaced, without reading it.
public struct FileStamp: Sendable, Hashable, CustomStringConvertible {
    /// Length in bytes.
    public let size: UInt64
    /// When it was last written, in nanoseconds since 1970.
    public let modified: Int64
    /// Its number on its file system.
    public let inode: UInt64
    /// Whether it is a regular file.
    public let isFile: Bool

    /// The stamp of a file, links followed; nil when nothing is there.
    public init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        size = UInt64(clamping: status.st_size)
        modified = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
        inode = UInt64(status.st_ino)
        isFile = status.st_mode & S_IFMT == S_IFREG
    }

    /// Its length, time and number.
    public var description: String { "\(size):\(modified):\(inode)" }
}

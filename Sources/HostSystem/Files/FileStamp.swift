import Glibc

/// Metadata that reveals a changed or replaced file without reading it.
public struct FileStamp: Sendable, Hashable, CustomStringConvertible {
    /// Length in bytes.
    public let size: UInt64
    /// When it was last written, in nanoseconds since 1970.
    public let modified: Int64
    /// When it was last changed in any way, in nanoseconds since 1970. No program can set it.
    public let changed: Int64
    /// Its number on its file system.
    public let inode: UInt64
    /// Its file system's number.
    public let device: UInt64
    /// Whether it is a regular file.
    public let isFile: Bool

    /// The stamp of a file, links followed; nil when nothing is there.
    public init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        size = UInt64(clamping: status.st_size)
        modified = Self.nanoseconds(status.st_mtim)
        changed = Self.nanoseconds(status.st_ctim)
        inode = UInt64(status.st_ino)
        device = UInt64(status.st_dev)
        isFile = status.st_mode & S_IFMT == S_IFREG
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// Its length, the time of its contents and its number.
    public var description: String { "\(size):\(modified):\(inode)" }
}

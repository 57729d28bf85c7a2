import Glibc
import HostSystem

/// A file that the guest boots from, read in pieces. It stays open for resets, when the sandbox no longer opens files.
final class HostFile: Sendable {
    let path: String
    let size: UInt64
    private let descriptor: OwnedDescriptor

    /// Its descriptor, valid as long as this object lives.
    var number: Int32 { descriptor.number }

    /// Throws what the kernel says, and `EISDIR` or `ENODEV` for what is no file.
    init(_ path: String) throws(SystemCallError) {
        self.path = path
        descriptor = try OwnedDescriptor.open(path, O_RDONLY)
        let status = try descriptor.status(path)
        guard status.st_mode & S_IFMT == S_IFREG else { throw SystemCallError("open", errno: ENODEV, path) }
        size = UInt64(max(0, status.st_size))
    }

    /// Reads bytes at a place in the file. Throws `EIO` where the file ends before.
    func read(_ target: UnsafeMutableRawBufferPointer, at place: UInt64) throws(SystemCallError) {
        try descriptor.read(into: target, at: place, path)
    }

    /// Some bytes of the file; fewer where it ends before.
    func bytes(at place: UInt64, count: Int) throws(SystemCallError) -> [UInt8] {
        place < size ? try descriptor.read(upTo: min(count, Int(size - place)), at: Int(place), path) : []
    }
}

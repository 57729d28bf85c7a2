import Glibc
import HostSystem

/// A file from a guest, being written on the host. Runs of zeros become holes.
final class PlainFile {
    let path: RelativePath
    /// Its length so far, in bytes.
    var length = 0
    private let descriptor: OwnedDescriptor
    private let modified: timespec

    /// The granularity of holes, in bytes.
    private static let stretch = 1 << 16

    /// Creates it as `name` in a folder, with the mode that the umask permits. Throws `EEXIST` when the name is taken.
    init(
        _ path: RelativePath, in folder: HostFolder, _ name: RelativePath, like member: TarMember
    ) throws(SystemCallError) {
        self.path = path
        modified = member.modified
        descriptor = try folder.open(
            name, O_WRONLY | O_CREAT | O_EXCL, mode: member.isExecutable ? 0o777 : 0o666)
        for (name, value) in member.attributes {
            // Not every file system supports them.
            _ = descriptor.setAttribute(Array("user.".utf8) + name, value)
        }
    }

    /// Writes bytes at an offset, except for zeros in holes.
    func write(_ bytes: ArraySlice<UInt8>, at offset: Int) throws(SystemCallError) {
        var (rest, place) = (bytes, offset)
        while !rest.isEmpty {
            let piece = rest.prefix(Self.stretch)
            if !piece.isZeros { try writeAll(descriptor.number, piece, at: place, "\(path)") }
            (rest, place) = (rest.dropFirst(piece.count), place + piece.count)
        }
        length = max(length, place)
    }

    /// Sets the file's length and modification time.
    func finish() throws(SystemCallError) {
        let (number, length) = (descriptor.number, length)
        try systemCall("ftruncate", "\(path)") { ftruncate(number, length) }
        descriptor.setModified(modified)
    }
}

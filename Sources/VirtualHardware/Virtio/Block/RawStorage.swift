import Glibc
import HostSystem

/// A disk that is a file, byte for byte, or a block device.
package final class RawStorage: BlockStorage {
    private let file: DiskFile
    package let size: UInt64
    package let isReadOnly: Bool

    /// Opens the file at `path`, which stays as long as it is, but for a last sector that it fills only in part: that is
    /// completed with zeros. Throws what the kernel says.
    package init(path: String, readOnly: Bool) throws(SystemCallError) {
        var file = try DiskFile(path, readOnly ? O_RDONLY : O_RDWR)
        size = (file.size + 511) / 512 * 512
        isReadOnly = readOnly
        if !readOnly && size != file.size { try file.resize(to: size) }
        self.file = file
    }

    package func read(_ target: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        try file.read(target, at: offset)
    }

    package func write(_ source: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        try file.write(source, at: offset)
    }

    package func flush() throws(SystemCallError) { try file.flush() }

    package func discard(_ range: Range<UInt64>) throws(SystemCallError) { _ = try file.punchHole(range) }

    package func writeZeroes(_ range: Range<UInt64>, mayFree: Bool) throws(SystemCallError) {
        if mayFree, try file.punchHole(range) { return }
        try file.writeZeroes(range)
    }
}

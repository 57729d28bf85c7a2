import Glibc
import HostSystem

/// The storage of a disk. Offsets and lengths are in bytes and within `size`. One call at a time, on the device's thread; may
/// block.
package protocol BlockStorage: AnyObject, Sendable {
    /// Bytes of the disk, a multiple of 512.
    var size: UInt64 { get }
    /// Whether it is read-only; then only `read` is called.
    var isReadOnly: Bool { get }
    /// Fills all of `target`.
    func read(_ target: GuestSegments, at offset: UInt64) throws(SystemCallError)
    /// Writes all of `source`. After an error any part of it may be written.
    func write(_ source: GuestSegments, at offset: UInt64) throws(SystemCallError)
    /// Returns when written data survives a power failure of the host.
    func flush() throws(SystemCallError)
    /// Discards these bytes; their contents are undefined from now on. Only saves space: may do nothing.
    func discard(_ range: Range<UInt64>) throws(SystemCallError)
    /// These bytes read as zeros from now on. Their space is given back when `mayFree`.
    func writeZeroes(_ range: Range<UInt64>, mayFree: Bool) throws(SystemCallError)
}

/// A disk that is a file, byte for byte, or a block device.
package final class RawStorage: BlockStorage {
    private let file: BackingFile
    package let size: UInt64
    package let isReadOnly: Bool

    /// Opens the file at `path`, which stays as long as it is, but for a last sector that it fills only in part: that is
    /// completed with zeros. Throws what the kernel says.
    package init(path: String, readOnly: Bool) throws(SystemCallError) {
        var file = try BackingFile(path, readOnly ? O_RDONLY : O_RDWR)
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

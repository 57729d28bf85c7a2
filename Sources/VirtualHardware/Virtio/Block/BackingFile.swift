import CLinux
import Glibc
import HostSystem

/// A file of a disk: whole transfers straight between the file and guest memory.
struct BackingFile: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor
    private let path: String
    /// Bytes that the file, or block device, had when it was opened or resized.
    private(set) var size: UInt64

    init(_ path: String, _ flags: Int32) throws(SystemCallError) {
        let descriptor = try OwnedDescriptor.open(path, flags)
        let number = descriptor.number
        size = UInt64(try systemCall("lseek", path) { lseek(number, 0, Int32(SEEK_END)) })
        self.descriptor = descriptor
        self.path = path
    }

    mutating func resize(to size: UInt64) throws(SystemCallError) {
        try descriptor.resize(to: size, path)
        self.size = size
    }

    /// Fills all of `target`; bytes beyond the file's `size` read as zeros. Throws `EIO` when the file was truncated since.
    func read(_ target: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        let inside = Int(clamping: size > offset ? size - offset : 0)
        let filled = target.slice(0..<min(inside, target.count))
        try Self.transfer("preadv", path, filled, offset) { preadv(descriptor.number, $0, $1, $2) }
        if inside < target.count { target.slice(inside..<target.count).clear() }
    }

    func write(_ source: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        try Self.write(source, to: descriptor.number, at: offset, path)
    }

    /// The same for a file opened elsewhere; `path` is for messages.
    static func write(
        _ source: GuestSegments, to file: Int32, at offset: UInt64, _ path: String
    ) throws(SystemCallError) {
        try transfer("pwritev", path, source, offset) { pwritev(file, $0, $1, $2) }
    }

    /// Writes zeros, in small steps.
    func writeZeroes(_ range: Range<UInt64>) throws(SystemCallError) {
        try GuestSegments.withZeroes(64 * 1024) { (zeroes) throws(SystemCallError) in
            var offset = range.lowerBound
            while offset < range.upperBound {
                let part = Int(min(UInt64(zeroes.count), range.upperBound - offset))
                try write(zeroes.slice(0..<part), at: offset)
                offset += UInt64(part)
            }
        }
    }

    /// Punches a hole: frees the space of these bytes, which read as zeros. False when the file system does not support it.
    func punchHole(_ range: Range<UInt64>) throws(SystemCallError) -> Bool {
        guard !range.isEmpty else { return true }
        let (offset, length) = (Int64(clamping: range.lowerBound), Int64(clamping: range.upperBound - range.lowerBound))
        do throws(SystemCallError) {
            try systemCall("fallocate", path) { vmlab_punch_hole(descriptor.number, offset, length) }
            return true
        } catch  where error.errno == EOPNOTSUPP || error.errno == ENOSYS {
            return false
        }
    }

    /// Returns when the bytes are on the medium.
    func flush() throws(SystemCallError) {
        try systemCall("fdatasync", path) { fdatasync(descriptor.number) }
    }

    private static func transfer(
        _ name: String, _ path: String, _ segments: GuestSegments, _ offset: UInt64,
        _ call: (UnsafePointer<iovec>, Int32, off_t) -> Int
    ) throws(SystemCallError) {
        var done = 0
        while done < segments.count {
            let pieces = segments.slice(done..<segments.count).pieces
            let place = off_t(clamping: offset + UInt64(done))
            let moved = try systemCall(name, path) {
                // The kernel's limit is 1024 pieces; the loop transfers the rest.
                call(pieces, Int32(clamping: min(pieces.count, 1024)), place)
            }
            guard moved > 0 else { throw SystemCallError(name, errno: EIO, path) }
            done += moved
        }
    }
}

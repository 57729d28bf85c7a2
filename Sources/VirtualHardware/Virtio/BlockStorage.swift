import CLinux
import Glibc
import HostSystem

/// Where a disk's bytes are. Called on one thread, the disk's own; offsets and counts have been checked against `size`.
public protocol BlockStorage: AnyObject, Sendable {
    /// Bytes, a multiple of 512.
    var size: UInt64 { get }
    /// Whether it refuses writes.
    var isReadOnly: Bool { get }
    /// Fills the buffer. Throws what the host says.
    func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SystemCallError)
    /// Writes the buffer. Throws what the host says, `ENOSPC` for a full one.
    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemCallError)
    /// Makes bytes zeros, and gives their space back where that is cheap.
    func clear(at offset: UInt64, count: UInt64) throws(SystemCallError)
    /// Returns when all that was written is with the host.
    func flush() throws(SystemCallError)
}

extension OwnedDescriptor {
    /// Reads until the buffer is full; what lies behind the end of the file is zeros.
    borrowing func readFully(
        _ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(SystemCallError) {
        let number = number
        var done = 0
        while done < buffer.count, let base = buffer.baseAddress {
            let place = off_t(truncatingIfNeeded: offset &+ UInt64(done))
            let count = try systemCall("pread") { pread(number, base + done, buffer.count - done, place) }
            guard count > 0 else {
                UnsafeMutableRawBufferPointer(rebasing: buffer[done...]).initializeMemory(as: UInt8.self, repeating: 0)
                return
            }
            done += count
        }
    }

    /// Writes the whole buffer.
    borrowing func writeFully(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemCallError) {
        let number = number
        var done = 0
        while done < buffer.count, let base = buffer.baseAddress {
            let place = off_t(truncatingIfNeeded: offset &+ UInt64(done))
            done += try systemCall("pwrite") { pwrite(number, base + done, buffer.count - done, place) }
        }
    }

    /// The file's size, also of a block device.
    borrowing func fileSize() throws(SystemCallError) -> UInt64 {
        let number = number
        return UInt64(max(0, try systemCall("lseek") { lseek(number, 0, SEEK_END) }))
    }
}

/// A disk that is a file of the host, byte for byte.
public final class RawStorage: BlockStorage {
    public let size: UInt64
    public let isReadOnly: Bool
    private let file: OwnedDescriptor

    /// Opens the file. What of it is no whole sector the guest does not see.
    public init(_ path: String, isReadOnly: Bool) throws(SystemCallError) {
        file = try OwnedDescriptor.open(path, isReadOnly ? O_RDONLY : O_RDWR)
        size = try file.fileSize() & ~511
        self.isReadOnly = isReadOnly
    }

    public func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SystemCallError) {
        try file.readFully(buffer, at: offset)
    }

    public func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemCallError) {
        try file.writeFully(buffer, at: offset)
    }

    public func clear(at offset: UInt64, count: UInt64) throws(SystemCallError) {
        let number = file.number
        try systemCall("fallocate") { vmlab_punch(number, Int64(bitPattern: offset), Int64(bitPattern: count)) }
    }

    public func flush() throws(SystemCallError) {
        let number = file.number
        try systemCall("fdatasync") { fdatasync(number) }
    }
}

/// A disk whose first contents are a file that is never written to; what the guest writes goes to a file of its own.
///
/// The second file is sparse and laid out as the first. Which of its blocks count is known to this process alone: the
/// overlay ends with the machine.
public final class OverlayStorage: BlockStorage, @unchecked Sendable {
    // Unchecked because of the table of blocks, which the disk's thread alone uses.

    /// Bytes that are taken over at a time when a part of them is written.
    public static let blockSize: UInt64 = 4096

    public let size: UInt64
    public let isReadOnly = false
    private let base: OwnedDescriptor
    private let overlay: OwnedDescriptor
    /// A bit for each block that is in the overlay.
    private var written: [UInt64]

    /// Opens the base for reading and makes the overlay at `path`, which must not exist.
    public init(base: String, overlay path: String) throws(SystemCallError) {
        self.base = try OwnedDescriptor.open(base, O_RDONLY)
        size = try self.base.fileSize() & ~511
        overlay = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
        let blocks = size / Self.blockSize + 1
        written = [UInt64](repeating: 0, count: Int(blocks / 64 + 1))
    }

    private func isWritten(_ block: UInt64) -> Bool { written[Int(block / 64)] >> (block % 64) & 1 == 1 }

    /// Splits a range into its blocks: `body` gets the block, the offset, and the range within the buffer.
    private func eachBlock(
        _ offset: UInt64, _ count: Int, _ body: (UInt64, UInt64, Range<Int>) throws(SystemCallError) -> Void
    ) throws(SystemCallError) {
        var done = 0
        while done < count {
            let place = offset + UInt64(done)
            let block = place / Self.blockSize
            let length = min(count - done, Int((block + 1) * Self.blockSize - place))
            try body(block, place, done..<(done + length))
            done += length
        }
    }

    public func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SystemCallError) {
        // Neighbours that come from the same file are read at once.
        var run: (isWritten: Bool, start: Int)?
        func finish(_ end: Int) throws(SystemCallError) {
            guard let run, run.start < end else { return }
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[run.start..<end])
            if run.isWritten {
                try overlay.readFully(part, at: offset + UInt64(run.start))
            } else {
                try base.readFully(part, at: offset + UInt64(run.start))
            }
        }
        try eachBlock(offset, buffer.count) { block, _, range throws(SystemCallError) in
            let isWritten = isWritten(block)
            guard run?.isWritten != isWritten else { return }
            try finish(range.lowerBound)
            run = (isWritten, range.lowerBound)
        }
        try finish(buffer.count)
    }

    public func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemCallError) {
        try eachBlock(offset, buffer.count) { block, _, range throws(SystemCallError) in
            if !isWritten(block), range.count < Int(Self.blockSize) { try copyUp(block) }
        }
        try overlay.writeFully(buffer, at: offset)
        mark(offset, buffer.count)
    }

    /// Clearing must hide the base, so it is written as zeros; whole blocks of them take no space.
    public func clear(at offset: UInt64, count: UInt64) throws(SystemCallError) {
        let first = offset / Self.blockSize
        let last = (offset + count - 1) / Self.blockSize
        for block in [first, last] where !isWritten(block) { try copyUp(block) }
        let number = overlay.number
        try systemCall("fallocate") { vmlab_punch(number, Int64(bitPattern: offset), Int64(bitPattern: count)) }
        for block in first...last { mark(block * Self.blockSize, 1) }
    }

    public func flush() throws(SystemCallError) {}

    private func mark(_ offset: UInt64, _ count: Int) {
        guard count > 0 else { return }
        for block in (offset / Self.blockSize)...((offset + UInt64(count) - 1) / Self.blockSize) {
            written[Int(block / 64)] |= 1 << (block % 64)
        }
    }

    private func copyUp(_ block: UInt64) throws(SystemCallError) {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(Self.blockSize), alignment: 8)
        defer { bytes.deallocate() }
        try base.readFully(bytes, at: block * Self.blockSize)
        try overlay.writeFully(UnsafeRawBufferPointer(bytes), at: block * Self.blockSize)
        mark(block * Self.blockSize, 1)
    }
}

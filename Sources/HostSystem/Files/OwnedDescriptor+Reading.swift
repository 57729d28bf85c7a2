import Glibc

extension OwnedDescriptor {
    /// The file's `stat`. `subject` is for messages, here and in the functions below.
    public borrowing func status(_ subject: String? = nil) throws(SystemCallError) -> stat {
        var status = stat()
        let number = number
        try systemCall("fstat", subject) { fstat(number, &status) }
        return status
    }

    /// At most `count` bytes of the file from an offset; none at its end.
    public borrowing func read(
        upTo count: Int, at offset: Int, _ subject: String? = nil
    ) throws(SystemCallError) -> [UInt8] {
        let number = number
        return try Self.piece(count, subject) { pread(number, $0, count, off_t(offset)) }
    }

    /// Fills memory with the file's bytes from an offset. Throws `EIO` when the file ends before.
    public borrowing func read(
        into target: UnsafeMutableRawBufferPointer, at offset: UInt64, _ subject: String? = nil
    ) throws(SystemCallError) {
        let number = number
        var done = 0
        while done < target.count {
            guard let base = target.baseAddress, let place = off_t(exactly: offset &+ UInt64(done)) else {
                throw SystemCallError("pread", errno: EOVERFLOW, subject)
            }
            let count = try systemCall("pread", subject) { pread(number, base + done, target.count - done, place) }
            guard count > 0 else { throw SystemCallError("pread", errno: EIO, subject) }
            done += count
        }
    }

    /// The bytes from the current offset to the end, at most `limit`.
    public borrowing func readAll(limit: Int = .max, _ subject: String? = nil) throws(SystemCallError) -> [UInt8] {
        var result: [UInt8] = []
        while result.count < limit {
            let count = min(1 << 16, limit - result.count)
            let piece = try read(upTo: count, subject)
            if piece.isEmpty { break }
            result += piece
        }
        return result
    }

    /// The next bytes of a stream, at most `count`; none at its end.
    public borrowing func read(upTo count: Int, _ subject: String? = nil) throws(SystemCallError) -> [UInt8] {
        let number = number
        return try Self.piece(count, subject) { Glibc.read(number, $0, count) }
    }

    private static func piece(
        _ most: Int, _ subject: String?, _ read: (UnsafeMutablePointer<UInt8>?) -> Int
    ) throws(SystemCallError) -> [UInt8] {
        var failure: SystemCallError?
        let bytes = [UInt8](unsafeUninitializedCapacity: most) { buffer, count in
            do throws(SystemCallError) {
                count = try systemCall("read", subject) { read(buffer.baseAddress) }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// The data ranges of a file of `size` bytes, ascending, with holes between them. All of it where the file system cannot tell.
    public borrowing func data(in size: Int) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var end = 0
        while end < size {
            let start = lseek(number, off_t(end), Self.seekData)
            if start < 0, errno == ENXIO { break }
            let hole = start < 0 ? start : lseek(number, start, Self.seekHole)
            guard hole >= 0 else { return [0..<size] }
            if start < size { ranges.append(Int(start)..<min(Int(hole), size)) }
            end = Int(hole)
        }
        return ranges
    }

    // Of lseek(2), which the Glibc module hides.
    private static let seekData: Int32 = 3
    private static let seekHole: Int32 = 4
}

extension ArraySlice<UInt8> {
    /// Whether it is non-empty and all zeros: the first byte is zero, and each equals the one before it.
    public var isZeros: Bool {
        withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress, bytes.first == 0 else { return false }
            return memcmp(start, start + 1, bytes.count - 1) == 0
        }
    }
}

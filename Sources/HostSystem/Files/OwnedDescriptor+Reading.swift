import Glibc

extension OwnedDescriptor {
    /// Bytes of the file from an offset on, at most `count`; none at its end.
    public borrowing func read(upTo count: Int, at offset: Int) throws(SystemCallError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let number = number
        let got = try systemCall("read") { pread(number, &bytes, count, off_t(offset)) }
        bytes.removeLast(count - got)
        return bytes
    }

    /// Where a file of `size` bytes has data, ascending: what lies between are holes. All of it where the file system does not
    /// say.
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

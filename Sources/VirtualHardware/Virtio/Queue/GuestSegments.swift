import Glibc

/// A scatter-gather list of guest memory: one side of a descriptor chain. All pieces are checked to be in guest RAM, and valid as
/// long as their `GuestMemory`. The guest can change the bytes at any time, so copy data before checking it.
package struct GuestSegments {
    /// The pieces for `preadv` and the like; none is empty.
    package private(set) var pieces: [iovec] = []
    /// The total size in bytes.
    package private(set) var count = 0

    package init() {}

    /// Calls `body` with this many zero bytes of host memory.
    static func withZeroes<Failure>(
        _ count: Int, _ body: (GuestSegments) throws(Failure) -> Void
    ) throws(Failure) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        defer { buffer.deallocate() }
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        var segments = GuestSegments()
        segments.append(buffer)
        try body(segments)
    }

    /// Appends a piece; an empty one is ignored.
    mutating func append(_ piece: UnsafeMutableRawBufferPointer) {
        guard let base = piece.baseAddress, piece.count > 0 else { return }
        pieces.append(iovec(iov_base: base, iov_len: piece.count))
        count += piece.count
    }

    /// The bytes in `range`, clamped to the existing ones.
    package func slice(_ range: Range<Int>) -> GuestSegments {
        if range.lowerBound <= 0 && range.upperBound >= count { return self }
        var result = GuestSegments()
        var start = 0
        for piece in pieces {
            let part = range.clamped(to: start..<(start + piece.iov_len))
            if let base = piece.iov_base, !part.isEmpty {
                result.append(UnsafeMutableRawBufferPointer(start: base + (part.lowerBound - start), count: part.count))
            }
            start += piece.iov_len
            if start >= range.upperBound { break }
        }
        return result
    }

    /// Copies as many bytes as fit to `buffer`; returns their count.
    @discardableResult
    package func copy(to buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        return forEachPart(of: buffer.count) { memcpy(base + $0, $1, $2) }
    }

    /// Copies as many bytes as fit from `buffer`; returns their count.
    @discardableResult
    package func copy(from buffer: UnsafeRawBufferPointer) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        return forEachPart(of: buffer.count) { memcpy($1, base + $0, $2) }
    }

    /// Calls `body` with the pieces of the first `limit` bytes; returns their byte count.
    private func forEachPart(
        of limit: Int, _ body: (_ offset: Int, UnsafeMutableRawPointer, _ count: Int) -> Void
    ) -> Int {
        var done = 0
        for piece in pieces where done < limit {
            guard let start = piece.iov_base else { continue }
            let part = min(piece.iov_len, limit - done)
            body(done, start, part)
            done += part
        }
        return done
    }

    var isZero: Bool {
        pieces.allSatisfy { piece in
            guard let base = piece.iov_base, piece.iov_len > 0 else { return true }
            // Each byte is the one before it, and the first is zero.
            return base.load(as: UInt8.self) == 0 && memcmp(base, base + 1, piece.iov_len - 1) == 0
        }
    }

    package func clear() {
        for piece in pieces { memset(piece.iov_base, 0, piece.iov_len) }
    }

    /// The first bytes as a value, copied once; nil when there are too few. Little-endian, as virtio is.
    package func load<Value: BitwiseCopyable>(_ type: Value.Type) -> Value? {
        withUnsafeTemporaryAllocation(of: Value.self, capacity: 1) { buffer in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            return copy(to: bytes) == bytes.count ? bytes.loadUnaligned(as: type) : nil
        }
    }
}

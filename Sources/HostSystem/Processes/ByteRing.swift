/// The last bytes of a stream, at most `limit` of them.
public struct ByteRing: Sendable {
    /// The most it keeps, in bytes; at least 1.
    public let limit: Int
    private var storage: [UInt8] = []
    private var start = 0

    /// An empty ring; a limit below 1 counts as 1.
    public init(limit: Int) {
        self.limit = max(limit, 1)
    }

    /// Adds bytes, dropping the oldest beyond the limit.
    public mutating func append(_ bytes: [UInt8]) {
        for byte in bytes.suffix(limit) {
            if storage.count < limit {
                storage.append(byte)
            } else {
                storage[start] = byte
                start = (start + 1) % limit
            }
        }
    }

    /// What it keeps, oldest first.
    public var bytes: [UInt8] { Array(storage[start...] + storage[..<start]) }

    /// What it keeps as lines of text, without empty ones; what is not UTF-8 is shown as replacement characters.
    public var lines: [String] {
        String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
    }
}

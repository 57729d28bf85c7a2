/// Ethernet frames in a byte stream, each preceded by its length as a big-endian 32-bit number: the protocol of passt and QEMU's
/// `-netdev stream`.
struct FrameStream: Sendable {
    /// The longest frame: a 64 KiB offloaded packet and its headers.
    static let longest = 68 * 1024

    private var bytes: [UInt8] = []
    private var start = 0

    static func encoded(_ frame: some Collection<UInt8>) -> [UInt8] {
        let length = UInt32(frame.count)
        return [UInt8(length >> 24), UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255)] + frame
    }

    mutating func append(_ more: [UInt8]) {
        bytes.removeFirst(start)
        start = 0
        bytes += more
    }

    /// The next complete frame; nil when there is none yet. Throws when the stream is malformed.
    mutating func next() throws(SystemCallError) -> [UInt8]? {
        guard bytes.count - start >= 4 else { return nil }
        let length = bytes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.longest else { throw SystemCallError("read", errno: 90) }  // EMSGSIZE
        guard bytes.count - start >= 4 + length else { return nil }
        defer { start += 4 + length }
        return Array(bytes[start + 4..<start + 4 + length])
    }
}

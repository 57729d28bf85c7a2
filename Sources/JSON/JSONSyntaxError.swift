/// Why bytes are not JSON, and where.
public struct JSONSyntaxError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The line, from 1.
    public let line: Int
    /// The column in characters (Unicode scalars), from 1.
    public let column: Int
    /// What is wrong there.
    public let reason: String

    /// `3:14: expected a value`.
    public var description: String { "\(line):\(column): \(reason)" }

    /// An error at the byte with this index.
    init(_ reason: String, at index: Int, in bytes: [UInt8]) {
        let before = bytes.prefix(index)
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        line = 1 + before.count { $0 == UInt8(ascii: "\n") }
        // Every character has one byte that is no continuation of another.
        column = 1 + before[lineStart...].count { $0 & 0xc0 != 0x80 }
        self.reason = reason
    }
}

/// Splits a byte stream into JSON texts. Line ends between objects are optional (Python's `qemu.qmp`): braces delimit them.
package struct MessageSplitter: Sendable {
    package enum Piece: Sendable, Equatable {
        /// An object or array from its first to its last bracket; or a line that begins with something else.
        case message([UInt8])
        /// A message longer than the limit; nothing after it is understood.
        case tooLong
    }

    private let limit: Int
    private var message: [UInt8] = []
    private var depth = 0
    private var isString = false
    private var isEscaped = false

    package init(limit: Int) { self.limit = limit }

    /// Takes the next bytes of the stream; returns the completed messages, at most one `tooLong` as the last.
    package mutating func take(_ bytes: [UInt8]) -> [Piece] {
        var pieces: [Piece] = []
        for byte in bytes {
            if message.isEmpty, byte <= 0x20 { continue }
            guard message.count < limit else { return pieces + [.tooLong] }
            message.append(byte)
            if isEnd(byte) {
                pieces.append(.message(message))
                message = []
            }
        }
        return pieces
    }

    /// Follows strings and brackets. Whether they match is checked by the parser.
    private mutating func isEnd(_ byte: UInt8) -> Bool {
        if isString {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isString = false
            }
            return false
        }
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth = max(0, depth - 1)
            return depth == 0
        case UInt8(ascii: "\""): isString = depth > 0
        case UInt8(ascii: "\n"): return depth == 0
        default: break
        }
        return false
    }
}

/// Converts bytes that arrive in pieces to valid UTF-8, with U+FFFD for invalid bytes.
public struct UTF8Stream: Sendable {
    /// The beginning of an incomplete character.
    private var held: [UInt8] = []

    /// An empty stream.
    public init() {}

    /// Takes the next bytes and returns the text that they complete.
    public mutating func take(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        held += bytes
        let rest = held.suffix(held.unfinishedCharacter)
        defer { held = Array(rest) }
        return Array(String(decoding: held.dropLast(rest.count), as: UTF8.self).utf8)
    }

    /// The text of the remaining bytes, at the end of the stream.
    public mutating func finish() -> [UInt8] {
        defer { held = [] }
        return Array(String(decoding: held, as: UTF8.self).utf8)
    }
}

extension [UInt8] {
    /// The number of bytes at the end that begin a character.
    fileprivate var unfinishedCharacter: Int {
        for length in 1...3 where length <= count {
            let byte = self[count - length]
            if byte & 0xC0 == 0x80 { continue }
            let whole = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return whole > length ? length : 0
        }
        return 0
    }
}

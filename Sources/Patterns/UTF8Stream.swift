/// Makes text of bytes that come in pieces: valid UTF-8, with U+FFFD for what is no character.
public struct UTF8Stream: Sendable {
    /// The beginning of a character whose rest has not come.
    private var held: [UInt8] = []

    /// A stream of which nothing has come.
    public init() {}

    /// Takes the next bytes and returns the text that they complete.
    public mutating func take(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        held += bytes
        let rest = held.suffix(held.unfinishedCharacter)
        defer { held = Array(rest) }
        return Array(String(decoding: held.dropLast(rest.count), as: UTF8.self).utf8)
    }

    /// No more bytes come: the text of those that are left.
    public mutating func finish() -> [UInt8] {
        defer { held = [] }
        return Array(String(decoding: held, as: UTF8.self).utf8)
    }
}

extension [UInt8] {
    /// How many bytes at the end are the beginning of a character.
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

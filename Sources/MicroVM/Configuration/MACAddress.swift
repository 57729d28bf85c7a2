/// The address of a network card.
public struct MACAddress: Sendable, Hashable {
    /// Its six bytes in the order they are sent.
    public let bytes: [UInt8]

    /// From `52:54:00:12:34:56`. Nil for anything else, for a group's address (the first byte is odd) and for all zeros.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { part -> UInt8? in
            part.utf8.count == 2 && part.allSatisfy(\.isHexDigit) ? UInt8(part, radix: 16) : nil
        }
        guard parts.count == 6, bytes.count == 6, bytes[0] & 1 == 0, bytes.contains(where: { $0 != 0 }) else {
            return nil
        }
        self.bytes = bytes
    }
}

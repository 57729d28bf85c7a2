/// The address of a network card, 6 bytes.
package struct EthernetAddress: Sendable, Hashable, CustomStringConvertible {
    /// In transmission order.
    package let bytes: [UInt8]

    /// Parses `52:54:00:12:34:56`. Nil for other texts, addresses of many cards (first byte odd) and all zeros.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        // Two digits: a sign would be taken for one otherwise.
        let bytes = parts.compactMap { part in
            part.utf8.count == 2 && part.allSatisfy(\.isHexDigit) ? UInt8(part, radix: 16) : nil
        }
        guard parts.count == 6, bytes.count == 6, bytes[0] & 1 == 0, bytes.contains(where: { $0 != 0 }) else {
            return nil
        }
        self.bytes = bytes
    }

    package var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}

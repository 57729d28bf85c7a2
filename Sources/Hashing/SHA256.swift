import CNettle

/// A SHA-256 (FIPS 180-4) of bytes that come piece by piece.
package struct SHA256 {
    private var context = sha256_ctx()

    package init() { nettle_sha256_init(&context) }

    /// The hash of one text in hexadecimal.
    package static func hex(_ text: String) -> String { hex(Array(text.utf8)) }

    /// The hash of some bytes in hexadecimal.
    package static func hex(_ bytes: [UInt8]) -> String {
        var hash = SHA256()
        hash.update(bytes)
        return hash.finish()
    }

    /// Takes more bytes in.
    package mutating func update(_ bytes: [UInt8]) { update(bytes[...]) }

    /// Takes more bytes in.
    package mutating func update(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBufferPointer { nettle_sha256_update(&context, $0.count, $0.baseAddress) }
    }

    /// The hash in hexadecimal, of 64 digits.
    package consuming func finish() -> String {
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_SIZE))
        nettle_sha256_digest(&context, digest.count, &digest)
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// Sizes in bytes as people write them.
enum ByteSize {
    /// How to write one.
    static let remedy = "write it as `256MiB`, `1GiB` or `1G`"

    /// `256MiB`, `1G`, `65536`: a whole number with a binary unit (letter case aside), or of bytes; nil for anything else.
    static func parse(_ text: String) -> UInt64? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard let number = UInt64(digits) else { return nil }
        let shift: UInt64
        switch text[digits.endIndex...].lowercased() {
        case "", "b": shift = 0
        case "k", "kib": shift = 10
        case "m", "mib": shift = 20
        case "g", "gib": shift = 30
        case "t", "tib": shift = 40
        default: return nil
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : bytes
    }

    /// The size in the largest unit that divides it.
    static func text(_ bytes: UInt64) -> String {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] as [(UInt64, String)]
        where bytes != 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes) bytes"
    }
}

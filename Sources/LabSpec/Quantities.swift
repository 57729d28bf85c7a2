import Diagnostics

/// Durations and sizes as people write them.
enum Quantities {
    /// Why a text is not a quantity: the end of a sentence that begins with what it was for, and the remedy.
    struct Refusal: Error {
        var message: String
        var remedy: String?
    }

    /// What the schema asks of a duration.
    static let durationPattern = "^([0-9]+(ms|s|m|h|d))+$"
    /// What the schema asks of a size.
    static let sizePattern = "^[0-9]+(\\.[0-9]+)?([KMGTkmgt]([iI][bB])?|[bB])$"

    /// The longest duration taken: a year.
    private static let longest = 365 * 86_400_000

    /// `90s`, `5m`, `1h30m`, `500ms`: whole numbers with units, larger units first, more than nothing.
    static func duration(_ text: String) throws(Refusal) -> Duration {
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
        let refusal = Refusal(
            message: "must be a duration, not \(text.quoted())", remedy: "write it as `90s`, `5m` or `1h30m`")
        if Int(text) != nil {
            throw Refusal(
                message: "needs a unit: \(text.quoted()) of what?", remedy: "write `\(text)s`, `\(text)m` or `\(text)h`"
            )
        }
        var total = 0
        var rest = text[...]
        var nextUnit = 0
        while !rest.isEmpty {
            let digits = rest.prefix { ("0"..."9").contains($0) }
            rest = rest[digits.endIndex...]
            let letters = rest.prefix(while: \.isLetter)
            rest = rest[letters.endIndex...]
            guard let number = Int(digits), let unit = units[nextUnit...].firstIndex(where: { $0.0 == letters }) else {
                throw refusal
            }
            nextUnit = unit + 1
            let (product, overflow) = number.multipliedReportingOverflow(by: units[unit].1)
            guard !overflow, product <= longest else {
                throw Refusal(
                    message: "is longer than a year: \(text.quoted())", remedy: "leave the limit out for none")
            }
            total += product
        }
        guard total > 0 else {
            throw Refusal(message: "must be longer than nothing, not \(text.quoted())", remedy: "leave it out for none")
        }
        return .milliseconds(total)
    }

    /// `512MiB`, `5GiB`, `512M`, `5G`, `1.5GiB`, `300B`: powers of 1024.
    static func size(_ text: String) throws(Refusal) -> ByteCount {
        let digits = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        let unit = text[digits.endIndex...].lowercased()
        if unit.isEmpty, !digits.isEmpty {
            throw Refusal(
                message: "needs a unit: \(text.quoted()) of what?", remedy: "write `\(text)MiB` or `\(text)GiB`")
        }
        if let factor = ["kb": "KiB", "mb": "MiB", "gb": "GiB", "tb": "TiB"][unit], !digits.isEmpty {
            throw Refusal(message: "must be a size, not \(text.quoted())", remedy: "did you mean `\(digits)\(factor)`?")
        }
        let shifts = ["b": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30, "t": 40, "tib": 40]
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard let shift = shifts[unit], (1...2).contains(parts.count), let whole = UInt64(parts[0]),
            parts.count == 1 || (1...6).contains(parts[1].count)
        else {
            throw Refusal(message: "must be a size, not \(text.quoted())", remedy: "write it as `512MiB` or `5GiB`")
        }
        let factor = UInt64(1) << UInt64(shift)
        let (bytes, overflow) = whole.multipliedReportingOverflow(by: factor)
        guard !overflow, bytes <= UInt64(1) << 50 else {
            throw Refusal(message: "is larger than 1024TiB: \(text.quoted())", remedy: "write it as `512MiB` or `5GiB`")
        }
        var fraction: UInt64 = 0
        if parts.count == 2, let decimals = UInt64(parts[1]) {
            let scale = (0..<parts[1].count).reduce(UInt64(1)) { scale, _ in scale * 10 }
            // At most 10⁶ · 2⁴⁰, which fits.
            fraction = decimals * factor / scale
        }
        return ByteCount(bytes + fraction)
    }
}

extension ByteCount {
    /// Reads the notation of lab files: `512MiB`, `5G`. Nil for anything else.
    public init?(parsing text: String) {
        guard let size = try? Quantities.size(text) else { return nil }
        self = size
    }
}

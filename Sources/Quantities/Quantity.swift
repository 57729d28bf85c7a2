// Quantities: amounts of bytes and of time, read and written one way everywhere.

import Diagnostics

/// Durations and sizes as people write them.
public enum Quantity {
    /// Why a text is not a quantity: the end of a sentence that begins with what it was for, and the remedy.
    public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        /// The end of a sentence that begins with what the quantity is for.
        public var message: String
        /// What to write instead.
        public var remedy: String?

        /// Both.
        public var description: String { message + (remedy.map { " (\($0))" } ?? "") }
    }

    /// What the schema asks of a duration.
    public static let durationPattern = "^([0-9]+(ms|s|m|h|d))+$"
    /// What the schema asks of a size.
    public static let sizePattern = "^[0-9]+(\\.[0-9]+)?([KMGTkmgt]([iI][bB])?|[bB])$"

    /// The longest duration taken: a year, in milliseconds.
    private static let longest = 365 * 86_400_000
    /// The largest size taken.
    private static let largest = UInt64(1) << 50

    private static let durationExamples = "write it as `90s`, `5m` or `1h30m`"
    private static let sizeExamples = "write it as `512MiB` or `5GiB`"

    /// `90s`, `5m`, `1h30m`, `500ms`: whole numbers with units, larger units first, more than nothing.
    public static func duration(_ text: String) throws(Refusal) -> Duration {
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
        let refusal = Refusal(message: "must be a duration, not \(text.quoted())", remedy: durationExamples)
        let tooLong = Refusal(
            message: "is longer than a year: \(text.quoted())", remedy: "leave it out, or write at most `365d`")
        let nothing = Refusal(
            message: "must be longer than zero, not \(text.quoted())", remedy: "leave it out, or \(durationExamples)"
        )
        if !text.isEmpty, text.allSatisfy({ ("0"..."9").contains($0) }) {
            guard text.contains(where: { $0 != "0" }) else { throw nothing }
            let meant = ["s", "m", "h"].map { text + $0 }.filter { (try? duration($0)) != nil }
            guard !meant.isEmpty else { throw tooLong }
            throw needsUnit(text, meant)
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
            guard !overflow, product <= longest else { throw tooLong }
            total += product
        }
        guard total > 0 else { throw nothing }
        guard total <= longest else { throw tooLong }
        return .milliseconds(total)
    }

    /// What a number without a unit may mean, as whole values that are taken.
    private static func needsUnit(_ text: String, _ meant: [String]) -> Refusal {
        let values = meant.map { "`\($0)`" }
        let list =
            (values.count > 1 ? values.dropLast().joined(separator: ", ") + " or " : "") + values[values.count - 1]
        return Refusal(message: "needs a unit: \(text.quoted()) of what?", remedy: "write \(list)")
    }

    /// The same, at least `minimum`. Remedies name no size below `usual`.
    public static func size(_ text: String, atLeast minimum: ByteCount, usual: ByteCount) throws(Refusal) -> ByteCount {
        let size = try size(text, usual: max(minimum, usual))
        guard size >= minimum else {
            throw Refusal(
                message: "must be at least \(minimum), not \(text.quoted())", remedy: "write `\(minimum)` or more")
        }
        return size
    }

    /// `512MiB`, `5GiB`, `512M`, `5G`, `1.5GiB`, `300B`: powers of 1024. Of nothing the unit does not matter. Remedies name no
    /// size below `usual`.
    public static func size(_ text: String, usual: ByteCount = ByteCount(1)) throws(Refusal) -> ByteCount {
        func isTaken(_ other: String) -> Bool { (try? size(other)).map { $0 >= usual } ?? false }
        let tooLarge = Refusal(message: "is larger than 1024TiB: \(text.quoted())", remedy: sizeExamples)
        let digits = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        let unit = text[digits.endIndex...].lowercased()
        if unit.isEmpty, let number = Double(digits) {
            guard number > 0 else { return ByteCount(0) }
            // So much in bytes is no slip of whoever means MiB.
            let units = number < Double(1 << 20) ? ["MiB", "GiB"] : ["B"]
            let meant = units.map { text + $0 }.filter(isTaken)
            if !meant.isEmpty { throw needsUnit(text, meant) }
            guard number <= Double(largest) else { throw tooLarge }
        }
        if let factor = ["kb": "KiB", "mb": "MiB", "gb": "GiB", "tb": "TiB"][unit], !digits.isEmpty {
            let meant = "\(digits)\(factor)"
            throw Refusal(
                message: "must be a size, not \(text.quoted())",
                remedy: isTaken(meant) ? "did you mean `\(meant)`?" : sizeExamples)
        }
        let shifts = ["b": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30, "t": 40, "tib": 40]
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard let shift = shifts[unit], (1...2).contains(parts.count), let whole = UInt64(parts[0]),
            parts.count == 1 || (1...6).contains(parts[1].count)
        else {
            throw Refusal(message: "must be a size, not \(text.quoted())", remedy: sizeExamples)
        }
        let factor = UInt64(1) << UInt64(shift)
        let (bytes, overflow) = whole.multipliedReportingOverflow(by: factor)
        guard !overflow, bytes <= largest else { throw tooLarge }
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
        guard let size = try? Quantity.size(text) else { return nil }
        self = size
    }
}

extension Duration {
    /// As limits are written, with as many units as it takes whole: `90s`, `1.5s`, `5m`, `1h`.
    public var notation: String {
        let seconds = self / .seconds(1)
        for (unit, size) in [("h", 3600.0), ("m", 60.0)] where seconds >= size {
            if seconds.truncatingRemainder(dividingBy: size) == 0 { return "\(Int(seconds / size))\(unit)" }
        }
        return seconds == seconds.rounded() ? "\(Int(seconds))s" : "\((seconds * 10).rounded() / 10)s"
    }

    /// One unit, which is enough to tell what is old: `5 s`, `7 min`, `3 h`, `12 d`.
    public var roughly: String {
        let seconds = max(0, self / .seconds(1))
        for (unit, length) in [("d", 86_400.0), ("h", 3600), ("min", 60)] where seconds >= length {
            return "\(Int(seconds / length)) \(unit)"
        }
        return "\(Int(seconds)) s"
    }
}

/// Seconds that were measured: `0.12 s`, `12.3 s`, `1m 05s`, `2h 03m`; `-` for what is no number.
public func durationText(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "-" }
    if seconds < 9.995 { return fixed(max(0, seconds), 2) + " s" }
    if seconds < 59.95 { return fixed(seconds, 1) + " s" }
    let whole = Int(seconds.rounded())
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    if whole < 3600 { return "\(whole / 60)m \(two(whole % 60))s" }
    return "\(whole / 3600)h \(two(whole / 60 % 60))m"
}

/// A number with so many decimals, rounded; `-` for what is not a number.
public func fixed(_ value: Double, _ decimals: Int) -> String {
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = (abs(value) * scale).rounded()
    guard scaled < 9e18 else { return "-" }
    let digits = String(Int64(scaled))
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard decimals > 0 else { return sign + padded }
    return "\(sign)\(padded.dropLast(decimals)).\(padded.suffix(decimals))"
}

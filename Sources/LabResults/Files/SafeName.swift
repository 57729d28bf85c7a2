import HostSystem

/// A name that any file system accepts as one path component. Distinct names stay distinct: where characters were replaced, a hash
/// of the original is appended.
public func safeFileName(_ name: String) -> String {
    var safe = ""
    for scalar in name.unicodeScalars {
        let keep =
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", ".", "-", "_", "=", ",", "+", "@": true
            default: scalar.value > 0x9F && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            }
        if keep { safe.unicodeScalars.append(scalar) } else { safe.append("_") }
    }
    if safe.isEmpty { safe = "_" }
    if safe.first == "." || safe.first == "-" { safe = "_" + safe.dropFirst() }
    // Leaves room for the hash in the usual limit of 255 bytes.
    while safe.utf8.count > 200 { safe.unicodeScalars.removeLast() }
    // Compared as bytes: String's == finds a precomposed letter equal to its decomposed form; the hash does not.
    if Array(safe.utf8) == Array(name.utf8) { return safe }
    let digits = String(fnv1a(name.utf8) & 0xFFFF_FFFF, radix: 16)
    return "\(safe)-\(String(repeating: "0", count: 8 - digits.count))\(digits)"
}

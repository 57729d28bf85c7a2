import FoundationEssentials

/// Decodes lines of Base64 as they come. A line of anything else is the guest's own, such as its kernel's, and no part of it.
struct Base64Lines {
    private var line: [UInt8] = []

    /// What the lines that these bytes end stand for.
    mutating func receive(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var decoded: [UInt8] = []
        for byte in bytes {
            guard byte == UInt8(ascii: "\n") else {
                if byte != UInt8(ascii: "\r") { line.append(byte) }
                continue
            }
            if let data = Data(base64Encoded: Data(line)) { decoded += data }
            line = []
        }
        return decoded
    }
}

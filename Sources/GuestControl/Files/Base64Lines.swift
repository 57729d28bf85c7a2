import FoundationEssentials

/// Decodes Base64 line by line. Other lines, such as the kernel's, are ignored.
struct Base64Lines {
    private var line: [UInt8] = []

    /// Decodes the lines that these bytes complete.
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

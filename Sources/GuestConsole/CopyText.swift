/// The text of a copy in progress on a console that people read: lines of Base64 are the copy's, all others the guest's own.
struct CopyText {
    private var line: [UInt8] = []

    /// No line is as long as this; what is goes on as the guest's.
    private static let longest = 4096

    /// What of these bytes is the guest's own, as far as whole lines have come.
    mutating func receive(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var own: [UInt8] = []
        for byte in bytes {
            line.append(byte)
            guard byte == UInt8(ascii: "\n") || line.count == Self.longest else { continue }
            own += finish()
        }
        return own
    }

    /// What of the last line, which has no end, is the guest's own.
    mutating func finish() -> [UInt8] {
        defer { line = [] }
        return Self.isData(line[...]) ? [] : line
    }

    /// Whether a line, with its end or without, is of Base64 alone.
    static func isData(_ line: ArraySlice<UInt8>) -> Bool {
        let text = line.filter { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
        return !text.isEmpty && text.count % 4 == 0
            && text.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="):
                    true
                default: false
                }
            }
    }
}

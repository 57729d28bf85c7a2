/// The console text of a copy in progress: lines of Base64 are the copy's, all others the guest's.
struct CopyText {
    private var line: [UInt8] = []

    /// Longer lines are the guest's.
    private static let longest = 4096

    /// The guest's own part of these bytes, as far as lines are complete.
    mutating func receive(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var own: [UInt8] = []
        for byte in bytes {
            line.append(byte)
            guard byte == UInt8(ascii: "\n") || line.count == Self.longest else { continue }
            own += finish()
        }
        return own
    }

    /// The guest's own part of the incomplete last line.
    mutating func finish() -> [UInt8] {
        defer { line = [] }
        return Self.isData(line[...]) ? [] : line
    }

    /// Whether a line, with or without its end, is Base64 only.
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

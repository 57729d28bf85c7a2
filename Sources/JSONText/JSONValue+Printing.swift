extension JSONValue {
    /// The value in one line without blanks, keys in order, so that equal values are equal text.
    ///
    /// A number that is not finite, which JSON cannot say, is printed as null.
    public var line: String {
        var text: [UInt8] = []
        print(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    private func print(to text: inout [UInt8]) {
        switch self {
        case .null: text += "null".utf8
        case .bool(let value): text += (value ? "true" : "false").utf8
        case .integer(let value): text += "\(value)".utf8
        case .number(let value): text += (value.isFinite ? "\(value)" : "null").utf8
        case .string(let value): Self.print(value, to: &text)
        case .array(let elements):
            Self.print(elements, "[", "]", to: &text) { $0.print(to: &$1) }
        case .object(let members):
            Self.print(members.sorted { $0.key < $1.key }, "{", "}", to: &text) { member, text in
                Self.print(member.key, to: &text)
                text.append(UInt8(ascii: ":"))
                member.value.print(to: &text)
            }
        }
    }

    private static func print<Element>(
        _ elements: [Element], _ open: Unicode.Scalar, _ close: Unicode.Scalar, to text: inout [UInt8],
        _ print: (Element, inout [UInt8]) -> Void
    ) {
        text.append(UInt8(ascii: open))
        for (index, element) in elements.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            print(element, &text)
        }
        text.append(UInt8(ascii: close))
    }

    private static func print(_ string: String, to text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): text += "\\n".utf8
            case UInt8(ascii: "\r"): text += "\\r".utf8
            case UInt8(ascii: "\t"): text += "\\t".utf8
            case 0..<0x20: text += "\\u00\(byte < 0x10 ? "0" : "1")\(String(byte & 0xf, radix: 16))".utf8
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
    }
}

extension JSONValue {
    /// The value in one line without blanks, members in their order.
    ///
    /// A number that is not finite, which JSON cannot say, is printed as null.
    public var line: String { text(JSONPrinter(isSpaced: false)) }

    /// The value in lines that people read: two blanks of indentation, what is short on one line.
    public var pretty: String { pretty(indent: 0) }

    private func text(_ printer: JSONPrinter) -> String {
        var printer = printer
        printer.print(self)
        return String(decoding: printer.text, as: UTF8.self)
    }

    private func pretty(indent: Int) -> String {
        let line = text(JSONPrinter(isSpaced: true))
        if line.count + indent <= 100 { return line }
        let (outer, inner) = (String(repeating: " ", count: indent), String(repeating: " ", count: indent + 2))
        func lines(_ items: [String], _ open: String, _ close: String) -> String {
            "\(open)\n" + items.map { inner + $0 }.joined(separator: ",\n") + "\n\(outer)\(close)"
        }
        return switch self {
        case .array(let elements): lines(elements.map { $0.pretty(indent: indent + 2) }, "[", "]")
        case .object(let object):
            lines(
                object.members.map { "\(JSONValue.string($0.key).line): \($0.value.pretty(indent: indent + 2))" }, "{",
                "}")
        default: line
        }
    }
}

/// Prints values in one line.
private struct JSONPrinter {
    /// Whether a blank follows each comma and colon.
    let isSpaced: Bool
    var text: [UInt8] = []

    mutating func print(_ value: JSONValue) {
        switch value {
        case .null: text += "null".utf8
        case .bool(let value): text += (value ? "true" : "false").utf8
        case .integer(let value): text += "\(value)".utf8
        case .number(let value): text += (value.isFinite ? "\(value)" : "null").utf8
        case .string(let value): print(value)
        case .array(let elements): print(elements, "[", "]") { $0.print($1) }
        case .object(let object):
            print(object.members, "{", "}") { printer, member in
                printer.print(member.key)
                printer.text += (printer.isSpaced ? ": " : ":").utf8
                printer.print(member.value)
            }
        }
    }

    private mutating func print<Element>(
        _ elements: [Element], _ open: Unicode.Scalar, _ close: Unicode.Scalar,
        _ print: (inout JSONPrinter, Element) -> Void
    ) {
        text.append(UInt8(ascii: open))
        for (index, element) in elements.enumerated() {
            if index > 0 { text += (isSpaced ? ", " : ",").utf8 }
            print(&self, element)
        }
        text.append(UInt8(ascii: close))
    }

    private mutating func print(_ string: String) {
        text.append(UInt8(ascii: "\""))
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\"".utf8
            case "\\": text += "\\\\".utf8
            case "\n": text += "\\n".utf8
            case "\r": text += "\\r".utf8
            case "\t": text += "\\t".utf8
            // C1 controls too: a line shown by `cat` must not drive the terminal.
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8
            default: text += UTF8.encode(scalar).map(Array.init) ?? []
            }
        }
        text.append(UInt8(ascii: "\""))
    }
}

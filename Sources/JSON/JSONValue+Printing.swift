extension JSONValue {
    /// The value in one line without blanks, members in their order.
    ///
    /// A number that is not finite, which JSON cannot say, is printed as null.
    public var line: String { text(JSONPrinter(isSpaced: false)) }

    /// The value in lines that people read: two blanks of indentation, what is short on one line.
    public var pretty: String { pretty(indent: 0) }

    /// The value with each member and element on a line of its own and members sorted by their keys, as Foundation prints it.
    /// All lines but the first are indented by as many blanks as `indent` says, and more.
    public func indented(by indent: Int = 0) -> String {
        switch self {
        case .object(let object):
            let sorted = JSONObject(distinct: object.members.sorted { $0.key < $1.key })
            return JSONValue.object(sorted).lines(indent: indent, colon: " : ") { $0.indented(by: $1) }
        case .array: return lines(indent: indent, colon: " : ") { $0.indented(by: $1) }
        case .number(let value) where value.rounded() == value && abs(value) < 1e15: return "\(Int64(value))"
        default: return text(JSONPrinter(isSpaced: false, escapesAllControls: false))
        }
    }

    private func text(_ printer: JSONPrinter) -> String {
        var printer = printer
        printer.print(self)
        return String(decoding: printer.text, as: UTF8.self)
    }

    private func pretty(indent: Int) -> String {
        let line = text(JSONPrinter(isSpaced: true))
        if line.count + indent <= 100 { return line }
        return lines(indent: indent, colon: ": ") { $0.pretty(indent: $1) }
    }

    /// Each member or element as `text` makes it on a line of its own.
    private func lines(indent: Int, colon: String, _ text: (JSONValue, _ indent: Int) -> String) -> String {
        let (outer, inner) = (String(repeating: " ", count: indent), String(repeating: " ", count: indent + 2))
        func lines(_ items: [String], _ open: String, _ close: String) -> String {
            "\(open)\n" + items.map { inner + $0 }.joined(separator: ",\n") + "\n\(outer)\(close)"
        }
        return switch self {
        case .array(let elements): lines(elements.map { text($0, indent + 2) }, "[", "]")
        case .object(let object):
            lines(
                object.members.map { "\(JSONValue.string($0.key).line)\(colon)\(text($0.value, indent + 2))" }, "{", "}"
            )
        default: line
        }
    }
}

/// Prints values in one line.
private struct JSONPrinter {
    /// Whether a blank follows each comma and colon.
    let isSpaced: Bool
    /// Whether C1 controls are escaped as well, which JSON does not ask: a line shown by `cat` must not drive the terminal.
    var escapesAllControls = true
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

    /// Appends plain stretches whole: outputs of guests are long.
    private mutating func print(_ string: String) {
        text.append(UInt8(ascii: "\""))
        var string = string
        string.withUTF8 { bytes in
            var (start, index) = (0, 0)
            while index < bytes.count {
                let byte = bytes[index]
                if byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                    index += 1
                } else if let (escape, length) = escape(bytes[index...].prefix(3)) {
                    text += bytes[start..<index]
                    text += escape.utf8
                    index += length
                    start = index
                } else {
                    index += 1
                }
            }
            text += bytes[start...]
        }
        text.append(UInt8(ascii: "\""))
    }

    /// How the character that begins here is escaped, and how many bytes it has; nil for one that is written as it is.
    private func escape(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> (String, length: Int)? {
        func code(_ value: Int) -> String {
            let digits = String(value, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
        let bytes = Array(bytes)
        switch bytes[0] {
        case UInt8(ascii: "\""): return ("\\\"", 1)
        case UInt8(ascii: "\\"): return ("\\\\", 1)
        case UInt8(ascii: "\n"): return ("\\n", 1)
        case UInt8(ascii: "\r"): return ("\\r", 1)
        case UInt8(ascii: "\t"): return ("\\t", 1)
        case 0x08 where !escapesAllControls: return ("\\b", 1)
        case 0x0C where !escapesAllControls: return ("\\f", 1)
        case 0..<0x20: return (code(Int(bytes[0])), 1)
        case _ where !escapesAllControls: return nil
        case 0x7F: return (code(0x7F), 1)
        case 0xC2 where bytes.count > 1 && bytes[1] < 0xA0: return (code(Int(bytes[1])), 2)
        case 0xE2 where bytes.count > 2 && bytes[1] == 0x80 && (0xA8...0xA9).contains(bytes[2]):
            return (code(0x2000 + Int(bytes[2]) - 0x80), 3)
        default: return nil
        }
    }
}

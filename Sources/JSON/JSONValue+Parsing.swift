extension JSONValue {
    /// How deep arrays and objects may lie in one another.
    public static let depthLimit = 64

    /// Reads one value: exactly RFC 8259 in UTF-8, without a byte order mark.
    ///
    /// Throws at the first mistake: also at a key that an object has twice, at a value deeper than `depthLimit`, at half a
    /// surrogate pair and at a number beyond what a double holds.
    public init(parsing bytes: some Sequence<UInt8>) throws(JSONSyntaxError) {
        var parser = JSONParser(Array(bytes))
        self = try parser.document()
    }

    /// Reads one value from text. Throws as `init(parsing:)` of bytes does.
    public init(parsing text: String) throws(JSONSyntaxError) {
        try self.init(parsing: text.utf8)
    }
}

private struct JSONParser {
    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONSyntaxError) -> JSONValue {
        let value = try value(depth: 0)
        guard next == nil else { throw error("nothing may follow the value") }
        return value
    }

    // MARK: Bytes

    private func error(_ reason: String) -> JSONSyntaxError { error(reason, at: index) }

    private func error(_ reason: String, at place: Int) -> JSONSyntaxError {
        JSONSyntaxError(place < bytes.count ? reason : "\(reason); the text ends here", at: place, in: bytes)
    }

    /// The byte at the place, whatever it is.
    private var byte: UInt8? { index < bytes.count ? bytes[index] : nil }

    /// The byte at the place after white space.
    private var next: UInt8? {
        mutating get {
            while let byte, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { index += 1 }
            return byte
        }
    }

    /// Goes on behind `wanted` if it is the next byte.
    private mutating func take(_ wanted: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: wanted) else { return false }
        index += 1
        return true
    }

    // MARK: Values

    private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        switch next {
        case UInt8(ascii: "{"): return .object(try object(depth: depth + 1))
        case UInt8(ascii: "["): return .array(try array(depth: depth + 1))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try number()
        default:
            for (word, value) in [("null", JSONValue.null), ("true", .bool(true)), ("false", .bool(false))]
            where bytes[index...].starts(with: word.utf8) {
                index += word.utf8.count
                return value
            }
            throw error("expected a value")
        }
    }

    private mutating func object(depth: Int) throws(JSONSyntaxError) -> JSONObject {
        guard depth <= JSONValue.depthLimit else { throw tooDeep }
        index += 1
        var members: [JSONObject.Member] = []
        if take("}") { return JSONObject() }
        // Of a hostile object's many keys none may be compared with each of the others.
        var keys: Set<String> = []
        repeat {
            guard next == UInt8(ascii: "\"") else { throw error("expected a key in quotes") }
            let place = index
            let key = try string()
            guard keys.insert(key).inserted else { throw error("the object has this key already", at: place) }
            guard take(":") else { throw error("expected a colon after the key") }
            members.append(JSONObject.Member(key: key, value: try value(depth: depth)))
        } while take(",")
        guard take("}") else { throw error("expected a comma or the object's closing brace") }
        return JSONObject(distinct: members)
    }

    private mutating func array(depth: Int) throws(JSONSyntaxError) -> [JSONValue] {
        guard depth <= JSONValue.depthLimit else { throw tooDeep }
        index += 1
        var elements: [JSONValue] = []
        if take("]") { return elements }
        repeat { elements.append(try value(depth: depth)) } while take(",")
        guard take("]") else { throw error("expected a comma or the array's closing bracket") }
        return elements
    }

    private var tooDeep: JSONSyntaxError { error("values may be nested at most \(JSONValue.depthLimit) levels deep") }

    // MARK: Numbers

    private mutating func number() throws(JSONSyntaxError) -> JSONValue {
        let start = index
        var isWhole = true
        if byte == UInt8(ascii: "-") { index += 1 }
        if byte == UInt8(ascii: "0") {
            index += 1
            if let byte, isDigit(byte) { throw error("a number does not begin with 0 and another digit", at: start) }
        } else {
            try digits()
        }
        if byte == UInt8(ascii: ".") {
            isWhole = false
            index += 1
            try digits()
        }
        if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
            isWhole = false
            index += 1
            if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { index += 1 }
            try digits()
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isWhole, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw error("the number is too large", at: start) }
        return .number(value)
    }

    private mutating func digits() throws(JSONSyntaxError) {
        guard let first = byte, isDigit(first) else { throw error("expected a digit") }
        while let byte, isDigit(byte) { index += 1 }
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    // MARK: Strings

    private mutating func string() throws(JSONSyntaxError) -> String {
        let start = index
        index += 1
        var content: [UInt8] = []
        var plain = index
        while index < bytes.count {
            let byte = bytes[index]
            if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                index += 1
                continue
            }
            content += bytes[plain..<index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw error("the string is not UTF-8", at: start)
                }
                return text
            case UInt8(ascii: "\\"): content += try Array(String(escaped()).utf8)
            default: throw error("a control character in a string must be escaped", at: index - 1)
            }
            plain = index
        }
        throw error("expected the string's closing quote")
    }

    /// What an escape stands for; its backslash is behind us.
    private mutating func escaped() throws(JSONSyntaxError) -> Unicode.Scalar {
        let start = index - 1
        guard let byte else { throw error("expected an escape") }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw error("there is no such escape", at: start)
        }
        let unit = try codeUnit()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        // A character beyond the first 65,536 is written as two halves (RFC 8259, section 7).
        if UTF16.isLeadSurrogate(unit), bytes[index...].starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) {
            index += 2
            let second = try codeUnit()
            if UTF16.isTrailSurrogate(second) {
                let value = 0x10000 + (UInt32(unit) - 0xd800) << 10 + (UInt32(second) - 0xdc00)
                if let scalar = Unicode.Scalar(value) { return scalar }
            }
        }
        throw error("half a surrogate pair is not a character", at: start)
    }

    private mutating func codeUnit() throws(JSONSyntaxError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw error("expected four hexadecimal digits")
            }
            unit = unit << 4 | UInt16(digit)
            index += 1
        }
        return unit
    }
}

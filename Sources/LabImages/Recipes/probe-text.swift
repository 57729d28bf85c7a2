/// Bytes, as they come and go on a serial port. The probe has no use for characters, and no tables of them.
typealias Text = [UInt8]

extension Text {
    /// The bytes of a literal.
    init(_ literal: StaticString) {
        self = literal.withUTF8Buffer { Array($0) }
    }

    /// Whether it begins so.
    func begins(_ literal: StaticString) -> Bool { self[...].begins(literal) }

    /// ASCII letters made small.
    var lowercased: Text { map { $0 >= 65 && $0 <= 90 ? $0 | 0x20 : $0 } }

    /// Appends a literal.
    static func += (text: inout Text, literal: StaticString) {
        literal.withUTF8Buffer { text.append(contentsOf: $0) }
    }

    /// Appends a number in decimal digits.
    mutating func append(decimal number: Int) {
        if number < 0 { append(45) }
        var rest = number.magnitude
        let start = count
        repeat {
            append(48 + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        self[start...].reverse()
    }

    /// Appends a number in so many hexadecimal digits.
    mutating func append(hexadecimal number: UInt64, digits: Int) {
        for place in stride(from: digits - 1, through: 0, by: -1) {
            let digit = UInt8(truncatingIfNeeded: number >> (UInt64(place) * 4) & 15)
            append(digit < 10 ? 48 + digit : 87 + digit)
        }
    }

    /// The number whose decimal digits these are, with `-` perhaps; nil for anything else or too large.
    var number: Int? {
        let isNegative = first == 45
        let digits = isNegative ? dropFirst() : self[...]
        guard !digits.isEmpty, digits.count < 18, digits.allSatisfy({ $0.isDigit }) else { return nil }
        let value = digits.reduce(0) { $0 * 10 + Int($1 - 48) }
        return isNegative ? -value : value
    }

    /// The milliseconds in a number of seconds such as `2` or `0.25`; nil for anything else.
    var milliseconds: Int? {
        let point = firstIndex(of: 46) ?? endIndex
        guard let seconds = point == 0 ? 0 : Text(self[..<point]).number, seconds >= 0, seconds < 1_000_000_000
        else { return nil }
        let digits = (Text(self[point...].dropFirst().prefix(3)) + Text("000")).prefix(3)
        guard let rest = Text(digits).number else { return nil }
        return seconds * 1000 + rest
    }

    /// The words between blanks.
    var words: [Text] { split { $0 == 32 || $0 == 9 }.map { Text($0) } }
}

extension ArraySlice<UInt8> {
    /// Whether it begins so.
    func begins(_ literal: StaticString) -> Bool {
        let length = literal.utf8CodeUnitCount
        guard count >= length else { return false }
        return literal.withUTF8Buffer { bytes in
            for place in 0..<length where self[startIndex + place] != bytes[place] { return false }
            return true
        }
    }
}

/// Whether a text is a literal, for `switch` too.
func ~= (literal: StaticString, text: Text) -> Bool {
    text.count == literal.utf8CodeUnitCount && text.begins(literal)
}

func == (text: Text, literal: StaticString) -> Bool { literal ~= text }
func != (text: Text, literal: StaticString) -> Bool { !(literal ~= text) }

extension UInt8 {
    var isDigit: Bool { self >= 48 && self <= 57 }
    var isLetter: Bool { self | 0x20 >= 97 && self | 0x20 <= 122 }
    /// Of a variable's name.
    var isWord: Bool { isDigit || isLetter || self == 95 }
    var isBlank: Bool { self == 32 || self == 9 }
    /// Whether it is one of a literal's.
    func isOne(of literal: StaticString) -> Bool { literal.withUTF8Buffer { $0.contains(self) } }
}

/// A text read from its beginning to its end.
struct TextReader {
    let text: Text
    private(set) var place = 0

    init(_ text: Text) { self.text = text }

    /// The byte ahead, nil at the end.
    var next: UInt8? { place < text.count ? text[place] : nil }

    /// The byte so many behind `next`.
    func ahead(_ count: Int) -> UInt8? { place + count < text.count ? text[place + count] : nil }

    mutating func skip(_ count: Int = 1) { place = min(place + count, text.count) }

    mutating func take() -> UInt8? {
        defer { skip() }
        return next
    }

    /// Goes past a literal if it is ahead.
    mutating func take(_ literal: StaticString) -> Bool {
        guard text[place...].begins(literal) else { return false }
        place += literal.utf8CodeUnitCount
        return true
    }

    /// Takes bytes as long as they are such.
    mutating func take(while isSuch: (UInt8) -> Bool) -> Text {
        let start = place
        while let byte = next, isSuch(byte) { place += 1 }
        return Text(text[start..<place])
    }

    mutating func skip(while isSuch: (UInt8) -> Bool) {
        while let byte = next, isSuch(byte) { place += 1 }
    }

    /// Nothing more is to be read.
    mutating func end() { place = text.count }

    /// Goes back to a place where it was.
    mutating func goBack(to place: Int) { self.place = place }

    /// All that is left.
    var rest: Text { Text(text[place...]) }
}

import Diagnostics

/// A guest's text made harmless for a terminal, on one line: without escape sequences, with `replacement` for other control
/// characters, direction overrides and noncharacters, and with blanks for tabs and line ends.
func visible(_ text: String, replacement: Unicode.Scalar = "\u{FFFD}") -> String {
    visibleLines(text, replacement: replacement).joined(separator: " ")
}

/// The lines of a guest's text, each as `visible` returns it. A carriage return ends a line too; an empty last line is dropped.
public func visibleLines(_ text: String, replacement: Unicode.Scalar = "\u{FFFD}") -> [String] {
    var lines: [String] = []
    var line = String.UnicodeScalarView()
    var escape = EscapeSequence.none
    var afterReturn = false
    for scalar in text.unicodeScalars {
        if escape.consumes(scalar) { continue }
        let follows = afterReturn && scalar == "\n"
        afterReturn = scalar == "\r"
        switch scalar {
        case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}":
            if follows { continue }
            lines.append(String(line))
            line = .init()
        case "\t":
            line.append(contentsOf: String(repeating: " ", count: 8 - line.count % 8).unicodeScalars)
        case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{200E}", "\u{200F}", "\u{202A}"..."\u{202E}",
            "\u{2066}"..."\u{2069}":
            line.append(replacement)
        default:
            // U+FFFE and U+FFFF, which no text has and XML cannot hold.
            line.append(scalar.value & 0xFFFE == 0xFFFE ? replacement : scalar)
        }
    }
    if !line.isEmpty { lines.append(String(line)) }
    return lines
}

/// The longest prefix that fits the columns.
func truncated(_ text: String, to columns: Int, ellipsis: String = "") -> String {
    guard displayWidth(text) > columns else { return text }
    let mark = displayWidth(ellipsis) <= columns ? ellipsis : ""
    var room = columns - displayWidth(mark)
    var kept = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        room -= scalar.displayWidth
        guard room >= 0 else { break }
        kept.append(scalar)
    }
    return String(kept) + mark
}

/// The leading words that fit the columns, which the whole text does not. A long word is cut: the beginning of a path is useful,
/// half a number or unit is wrong. `isWordStart`: whether the text starts with the beginning of a word.
func cutBetweenWords(_ text: String, isWordStart: Bool, to columns: Int, _ ellipsis: String) -> String {
    let long = 16
    let kept = truncated(text, to: max(0, columns - displayWidth(ellipsis)))
    let isWhole = text.dropFirst(kept.count).first == " "
    let words = kept.lastIndex(of: " ").map { kept[...$0] } ?? (isWordStart ? "" : nil)
    guard !isWhole, let words, displayWidth(kept.dropFirst(words.count)) < long else {
        return truncated(text, to: columns, ellipsis: ellipsis)
    }
    return truncated(words + ellipsis, to: columns)
}

/// The text within the columns, shortened in the middle: the ends distinguish long names, and messages end with their reason.
func shortened(_ text: String, to columns: Int, ellipsis: String) -> String {
    guard displayWidth(text) > columns else { return text }
    let room = max(0, columns - displayWidth(ellipsis))
    let head = truncated(text, to: (room + 1) / 2)
    let tail = String(truncated(String(text.reversed()), to: room - displayWidth(head)).reversed())
    return truncated(head + ellipsis + tail, to: columns)
}

extension String {
    /// Its words, each with the blanks behind it.
    var wordsWithBlanks: [Substring] {
        var words: [Substring] = []
        var rest = self[...]
        while !rest.isEmpty {
            let end = rest.drop { $0 != " " }.drop { $0 == " " }.startIndex
            words.append(rest[..<end])
            rest = rest[end...]
        }
        return words
    }

    var trimmedEnd: Substring {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return text
    }
}

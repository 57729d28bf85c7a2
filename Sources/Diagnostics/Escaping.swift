extension Unicode.Scalar {
    /// Whether a terminal or a reader would be misled by it: controls, and marks that reorder text.
    var isUnprintable: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate: true
        case .format: (0x202A...0x202E).contains(value) || (0x2066...0x2069).contains(value) || value == 0xFEFF
        default: false
        }
    }

    /// The scalar as it may be shown: itself, or an escape such as `\n` or `\u{1B}`.
    var shown: String {
        guard isUnprintable else { return String(self) }
        switch self {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        default: return "\\u{\(String(value, radix: 16, uppercase: true))}"
        }
    }
}

extension StringProtocol {
    /// The text with control characters and reordering marks written as escapes, so that it can do no harm in a
    /// terminal or a log.
    public func escapingControls() -> String {
        guard unicodeScalars.contains(where: \.isUnprintable) else { return String(self) }
        return unicodeScalars.reduce(into: "") { $0 += $1.shown }
    }

    /// The text as a message quotes it: between backticks, escaped, and cut to about `limit` characters.
    public func quoted(limit: Int = 60) -> String {
        let head = prefix(limit)
        return "`" + head.escapingControls() + (head.endIndex < endIndex ? "…" : "") + "`"
    }
}

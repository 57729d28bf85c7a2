import CYAML
import Diagnostics

/// Converts libyaml's places to spans of a source.
struct Locator {
    let file: SourceFile
    /// The column, from 1, at which the text's first line begins in the source.
    let firstColumn: Int

    /// The position of a mark; libyaml counts lines and scalars from 0.
    func position(_ mark: yaml_mark_t) -> SourcePosition {
        let line = Int(mark.line) + 1
        return SourcePosition(line: line, column: Int(mark.column) + (line == 1 ? firstColumn : 1))
    }

    func span(_ start: yaml_mark_t, _ end: yaml_mark_t) -> SourceSpan {
        SourceSpan(file: file, start: position(start), end: position(end))
    }

    /// The character at a byte offset of `text`.
    func span(ofByte offset: Int, in text: String) -> SourceSpan {
        var line = 1
        var column = firstColumn
        var count = 0
        var afterReturn = false
        for scalar in text.unicodeScalars {
            guard count < offset else { break }
            count += UTF8.width(scalar)
            switch scalar {
            case "\n" where afterReturn: break
            case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": (line, column) = (line + 1, 1)
            default: column += 1
            }
            afterReturn = scalar == "\r"
        }
        return SourceSpan(file: file, line: line, columns: column..<(column + 1))
    }
}

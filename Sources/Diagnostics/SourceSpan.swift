/// A text that a user wrote, kept so that a mistake can be shown in its place.
public struct SourceFile: Sendable, Hashable {
    /// The path as the user would recognise it.
    public let path: String
    /// The whole text.
    public let text: String

    /// A source with the given path and text; reads nothing.
    public init(path: String, text: String) {
        self.path = path
        self.text = text
    }

    /// The text of one line without its end, or nil past the last one. `line` counts from 1.
    ///
    /// Reads the text from its beginning; ``LineReader`` is for many lines.
    public func line(_ line: Int) -> Substring? {
        var reader = LineReader()
        return reader.line(line, of: self)
    }

    /// The index after the line break at `index`, or nil when there is none: LF, CR, CR LF and, as in YAML, NEL, LS
    /// and PS. Works on bytes because texts may be long.
    fileprivate static func lineBreak(in bytes: String.UTF8View, at index: String.Index) -> String.Index? {
        func byte(_ offset: Int) -> UInt8? {
            guard let place = bytes.index(index, offsetBy: offset, limitedBy: bytes.endIndex), place < bytes.endIndex
            else { return nil }
            return bytes[place]
        }
        let length: Int
        switch bytes[index] {
        case 0x0A: length = 1
        case 0x0D: length = byte(1) == 0x0A ? 2 : 1
        case 0xC2 where byte(1) == 0x85: length = 2
        case 0xE2 where byte(1) == 0x80 && (byte(2) == 0xA8 || byte(2) == 0xA9): length = 3
        default: return nil
        }
        return bytes.index(index, offsetBy: length)
    }
}

/// Finds lines of sources, going on from the last one found: all lines in reading order cost one pass over the text.
struct LineReader {
    private var file: SourceFile?
    /// The line that begins at `start`.
    private var number = 1
    private var start = "".startIndex

    /// The text of a line without its end, or nil past the last one.
    mutating func line(_ line: Int, of file: SourceFile) -> Substring? {
        guard line >= 1 else { return nil }
        if self.file != file || line < number {
            (self.file, number, start) = (file, 1, file.text.startIndex)
        }
        let bytes = file.text.utf8
        var index = start
        while index < bytes.endIndex {
            guard let next = SourceFile.lineBreak(in: bytes, at: index) else {
                index = bytes.index(after: index)
                continue
            }
            if number == line { return file.text[start..<index] }
            number += 1
            (start, index) = (next, next)
        }
        return number == line ? file.text[start...] : nil
    }
}

/// A place in a source: line and column, both from 1, the column in characters (Unicode scalars, tabs are one).
public struct SourcePosition: Sendable, Hashable, Comparable {
    /// The line, from 1.
    public var line: Int
    /// The column in characters, from 1.
    public var column: Int

    /// A position; nothing is checked.
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    /// Reading order.
    public static func < (left: SourcePosition, right: SourcePosition) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// A stretch of a source, from `start` up to but not including `end`.
public struct SourceSpan: Sendable, Hashable {
    /// Where the stretch is.
    public let file: SourceFile
    /// Its first character.
    public let start: SourcePosition
    /// The character after its last one.
    public let end: SourcePosition

    /// A span; nothing is checked.
    public init(file: SourceFile, start: SourcePosition, end: SourcePosition) {
        self.file = file
        self.start = start
        self.end = end
    }
}

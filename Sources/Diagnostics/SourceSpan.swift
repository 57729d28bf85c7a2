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
    public func line(_ line: Int) -> Substring? {
        guard line >= 1 else { return nil }
        var number = 1
        var rest = text[...]
        while number < line {
            guard let end = rest.firstIndex(where: \.isNewline) else { return nil }
            rest = rest[rest.index(after: end)...]
            number += 1
        }
        return rest.prefix { !$0.isNewline }
    }
}

/// A place in a source: line and column, both from 1, the column in characters.
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

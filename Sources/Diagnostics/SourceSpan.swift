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

    /// A span within a line, of these columns from 1; nothing is checked.
    public init(file: SourceFile, line: Int, columns: Range<Int>) {
        self.init(
            file: file, start: SourcePosition(line: line, column: columns.lowerBound),
            end: SourcePosition(line: line, column: columns.upperBound))
    }

    /// A span; nothing is checked.
    public init(file: SourceFile, start: SourcePosition, end: SourcePosition) {
        self.file = file
        self.start = start
        self.end = end
    }
}

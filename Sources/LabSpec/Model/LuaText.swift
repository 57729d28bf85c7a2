import Diagnostics

/// Lua that is written in a lab file.
public struct LuaText: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The text itself.
    public var text: String
    /// The line of the lab file that the text begins in, from 1. Of a text that is folded it is the best guess.
    public var line: Int
    /// Where it is written.
    public var span: SourceSpan?

    /// A text as given.
    public init(_ text: String, line: Int = 1, span: SourceSpan? = nil) {
        self.text = text
        self.line = line
        self.span = span
    }

    /// A text of no file.
    public init(stringLiteral text: String) { self.init(text) }

    /// The text behind as many line ends as come before it in its file, so that Lua counts lines as the file does.
    public var chunk: String { String(repeating: "\n", count: line - 1) + text }
}

// YAMLTree: a YAML text as a tree of nodes that know their place. Reads with libyaml; knows nothing of labs.
// Every input ends as a tree or as diagnostics, in bounded time and memory.

import Diagnostics

/// The limits of a text. Beyond them, reading ends with a diagnostic.
public struct YAMLLimits: Sendable {
    /// Bytes of text.
    public var bytes: Int
    /// Collections within collections, aliases followed.
    public var depth: Int
    /// Nodes, those behind aliases and merge keys counted each time they are used.
    public var nodes: Int

    /// Limits as given; the defaults take files far larger than people write.
    public init(bytes: Int = 8 << 20, depth: Int = 64, nodes: Int = 500_000) {
        self.bytes = bytes
        self.depth = depth
        self.nodes = nodes
    }
}

/// The result of reading a text.
public struct YAMLDocument: Sendable {
    /// The tree; nil when the text is empty, is not YAML or exceeds the limits (then `problems` says which).
    public var root: YAMLNode?
    /// All problems in reading order: reading ends at a syntax error, while duplicate keys and the like are collected.
    public var problems: [Diagnostic]

    /// Reads one document. `column` is where the text begins within the first line of `file`, for a part of a longer text.
    ///
    /// Supports everything that libyaml reads, aliases within the limits, merge keys (`<<`) and the tag `!!str`. Refuses with a
    /// diagnostic other tags, keys that are not scalars, duplicate keys, several documents and NUL.
    public static func parse(
        _ text: String, in file: SourceFile, column: Int = 1, limits: YAMLLimits = YAMLLimits()
    ) -> YAMLDocument {
        guard text.utf8.count <= limits.bytes else {
            return YAMLDocument(root: nil, problems: [tooLarge(text.utf8.count, path: file.path, limits: limits)])
        }
        let locator = Locator(file: file, firstColumn: column)
        if text.utf8.contains(0) {
            let place = locator.span(ofByte: text.utf8.prefix { $0 != 0 }.count, in: text)
            return YAMLDocument(
                root: nil,
                problems: [
                    Diagnostic(.specification, "the text contains a NUL byte", remedy: "is it a text file?", at: place)
                ])
        }
        var composer = YAMLComposer(text: text, locator: locator, limits: limits)
        let root = composer.compose()
        return YAMLDocument(root: root, problems: composer.problems)
    }

    /// Reads one document that is a whole source.
    public static func parse(_ source: SourceFile, limits: YAMLLimits = YAMLLimits()) -> YAMLDocument {
        parse(source.text, in: source, limits: limits)
    }

    /// The bytes of a file as a source: checks size and encoding, drops a byte order mark.
    public static func source(
        path: String, bytes: [UInt8], limits: YAMLLimits = YAMLLimits()
    ) throws(Diagnostic) -> SourceFile {
        guard bytes.count <= limits.bytes else { throw tooLarge(bytes.count, path: path, limits: limits) }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw Diagnostic(.specification, "\(path.quoted()) is UTF-16", remedy: "save it as UTF-8")
        }
        let content = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
        if let text = String(validating: content, as: UTF8.self) {
            return SourceFile(path: path, text: text)
        }
        // Show the place in the text as it can be read.
        let readable = String(decoding: content, as: UTF8.self)
        let broken = SourceFile(path: path, text: readable)
        let place = Locator(file: broken, firstColumn: 1).span(
            ofByte: readable.utf8.prefix(invalidOffset(in: content)).count, in: readable)
        throw Diagnostic(.specification, "the text is not UTF-8 here", remedy: "save it as UTF-8", at: place)
    }

    /// How many bytes at the start of `bytes` are valid UTF-8.
    private static func invalidOffset(in bytes: ArraySlice<UInt8>) -> Int {
        var decoder = UTF8()
        var input = bytes.makeIterator()
        var valid = 0
        while case .scalarValue(let scalar) = decoder.decode(&input) { valid += UTF8.width(scalar) }
        return valid
    }

    private static func tooLarge(_ count: Int, path: String, limits: YAMLLimits) -> Diagnostic {
        Diagnostic(
            .specification, "\(path.quoted()) has \(count) bytes; at most \(limits.bytes) are read",
            remedy: "is it the right file?")
    }
}

import Synchronization

/// A text that a user wrote, kept so that a mistake can be shown in its place.
public struct SourceFile: Sendable {
    /// The path as the user would recognise it.
    public let path: String
    /// The whole text.
    public let text: String
    private let lines: LineTable

    /// A source with the given path and text; reads nothing.
    public init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = LineTable()
    }

    /// The text of one line without its end, or nil past the last one. `line` counts from 1.
    public func line(_ line: Int) -> Substring? {
        guard let range = lines.range(of: line, in: text) else { return nil }
        let start = text.utf8.index(text.startIndex, offsetBy: range.lowerBound)
        return text[start..<text.utf8.index(start, offsetBy: range.count)]
    }
}

extension SourceFile: Hashable {
    /// Whether path and text are the same.
    public static func == (left: SourceFile, right: SourceFile) -> Bool {
        left.path == right.path && left.text == right.text
    }

    /// Hashes the path.
    public func hash(into hasher: inout Hasher) { hasher.combine(path) }
}

/// Where the lines of a text are, found at the first question: each further one costs nothing, however long the text is.
private final class LineTable: Sendable {
    /// The bytes of each line without its end.
    private let ranges = Mutex<[Range<Int>]?>(nil)

    func range(of line: Int, in text: String) -> Range<Int>? {
        ranges.withLock { ranges in
            let found = ranges ?? Self.lines(of: text)
            ranges = found
            return found.indices.contains(line - 1) ? found[line - 1] : nil
        }
    }

    private static func lines(of text: String) -> [Range<Int>] {
        var text = text
        return text.withUTF8 { bytes in
            var lines: [Range<Int>] = []
            var (start, index) = (0, 0)
            while index < bytes.count {
                let length = lineBreak(in: bytes, at: index)
                if length > 0 {
                    lines.append(start..<index)
                    start = index + length
                }
                index += max(length, 1)
            }
            return lines + [start..<bytes.count]
        }
    }

    /// The bytes of the line break at `index`, 0 when there is none: LF, CR, CR LF and, as in YAML, NEL, LS and PS.
    private static func lineBreak(in bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> Int {
        func byte(_ offset: Int) -> UInt8? { index + offset < bytes.count ? bytes[index + offset] : nil }
        switch bytes[index] {
        case 0x0A: return 1
        case 0x0D: return byte(1) == 0x0A ? 2 : 1
        case 0xC2 where byte(1) == 0x85: return 2
        case 0xE2 where byte(1) == 0x80 && (byte(2) == 0xA8 || byte(2) == 0xA9): return 3
        default: return 0
        }
    }
}

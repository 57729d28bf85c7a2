import Diagnostics

/// How text for people may look.
public struct TextStyle: Sendable, Hashable {
    /// Whether colours are wanted.
    public var colour: Bool
    /// Whether the reader can show more than ASCII.
    public var unicode: Bool

    /// No colours, ASCII only.
    public static let plain = TextStyle(colour: false, unicode: false)

    var ellipsis: String { unicode ? "…" : "..." }
    var replacement: Unicode.Scalar { unicode ? "\u{FFFD}" : "?" }

    /// A user's or a guest's text on one line, safe for the terminal.
    func safe(_ text: String) -> String { ascii(visible(text, replacement: replacement)) }

    /// A user's or a guest's text as lines, safe for the terminal.
    func safeLines(_ text: String) -> [String] { visibleLines(text, replacement: replacement).map(ascii) }

    private func ascii(_ text: String) -> String {
        if unicode || text.utf8.allSatisfy({ $0 < 0x80 }) { return text }
        return String(text.unicodeScalars.map { $0.isASCII ? Character($0) : "?" })
    }

    func symbol(_ outcome: Outcome) -> String {
        switch outcome {
        case .passed: unicode ? "✓" : "+"
        case .flaky: unicode ? "≈" : "~"
        case .skipped: "-"
        case .failed, .timeout, .panicked, .error: unicode ? "✗" : "x"
        }
    }
}

enum Colour: String {
    case good = "32"
    case doubtful = "33"
    case bad = "31"
    case faint = "2"
    case strong = "1"
    case busy = "36"

    init(_ outcome: Outcome) {
        switch outcome {
        case .passed: self = .good
        case .flaky: self = .doubtful
        case .skipped: self = .faint
        case .failed, .timeout, .panicked, .error: self = .bad
        }
    }
}

/// One line of text in parts of different colours. Its text is already safe to show.
struct StyledLine: ExpressibleByStringInterpolation {
    private(set) var parts: [(text: String, colour: Colour?)] = []
    /// What its further lines begin with when it is wrapped.
    var hanging: (text: String, colour: Colour?) = ("    ", nil)

    init(_ text: String = "", _ colour: Colour? = nil) { add(text, colour) }

    init(stringLiteral text: String) { self.init(text) }

    mutating func add(_ text: String, _ colour: Colour? = nil) {
        if !text.isEmpty { parts.append((text, colour)) }
    }

    func adding(_ other: StyledLine) -> StyledLine {
        var line = self
        line.parts += other.parts
        return line
    }

    func adding(_ text: String, _ colour: Colour? = nil) -> StyledLine {
        var line = self
        line.add(text, colour)
        return line
    }

    var width: Int { parts.reduce(0) { $0 + displayWidth($1.text) } }

    /// The line wrapped to the columns, between words where possible.
    func wrapped(to columns: Int) -> [StyledLine] {
        guard width > columns else { return [self] }
        // Behind it there is room for a wide character.
        let hang = displayWidth(hanging.text) + 2 <= columns ? hanging : ("", nil)
        var lines: [StyledLine] = []
        var line = StyledLine()
        var room = columns
        func isFresh() -> Bool {
            line.parts.isEmpty || !lines.isEmpty && line.parts.count == 1 && line.parts[0].text == hang.0
        }
        func breakLine() {
            lines.append(line.trimmedEnd)
            line = StyledLine(hang.0, hang.1)
            room = columns - displayWidth(hang.0)
        }
        for (text, colour) in parts {
            for word in text.wordsWithBlanks {
                // A word wider than a line is broken anywhere.
                var rest = String(word)
                if displayWidth(rest.trimmedEnd) > room, !isFresh() { breakLine() }
                while displayWidth(rest.trimmedEnd) > room, displayWidth(rest) > 1 {
                    let fitting = truncated(rest, to: room)
                    // A wide character does not fit one column.
                    let head = fitting.isEmpty && isFresh() ? String(rest.prefix(1)) : fitting
                    line.add(head, colour)
                    rest.unicodeScalars.removeFirst(head.unicodeScalars.count)
                    breakLine()
                }
                line.add(rest, colour)
                room -= displayWidth(rest)
            }
        }
        return lines + [line.trimmedEnd]
    }

    private var trimmedEnd: StyledLine {
        var line = self
        while let last = line.parts.popLast() {
            let text = String(last.text.trimmedEnd)
            guard text.isEmpty else {
                line.parts.append((text, last.colour))
                break
            }
        }
        return line
    }

    /// The line cut to the columns, between words if they are not long, with colours if the style has them; no line end.
    func rendered(_ style: TextStyle, columns: Int = .max) -> String {
        var text = ""
        var room = columns
        let isCut = width > columns
        var isWordStart = false
        for part in parts {
            var shown = part.text
            if isCut {
                let rest = displayWidth(part.text) > room - displayWidth(style.ellipsis)
                if rest {
                    shown = cutBetweenWords(
                        part.text + style.ellipsis + " ", isWordStart: isWordStart, to: room, style.ellipsis)
                }
                room = rest ? 0 : room - displayWidth(shown)
                isWordStart = part.text.last == " "
            }
            if style.colour, let colour = part.colour, !shown.isEmpty {
                text += "\u{1B}[\(colour.rawValue)m\(shown)\u{1B}[0m"
            } else {
                text += shown
            }
            if isCut, room <= 0 { break }
        }
        return text
    }
}

/// A guest's output on a port since it was last answered, as plain text: without escape sequences and kernel messages.
struct ConsoleDialogue {
    /// The visible history, in bytes.
    private static let memory = 4096

    /// The text; its line ends are line feeds.
    private(set) var text = ""
    /// Counts the changes of `text`.
    private(set) var revision = 0
    private var bytes: [UInt8] = []
    /// The incomplete last line.
    private var line: [UInt8] = []
    /// The stage shown by the completed lines.
    private var reached = BootStage.silent

    mutating func receive(_ more: ArraySlice<UInt8>) {
        for piece in more.split(separator: 10, omittingEmptySubsequences: false).dropLast() {
            line += piece
            reached = stage
            line = []
        }
        line = Array(
            (line + (more.split(separator: 10, omittingEmptySubsequences: false).last ?? [])).suffix(Self.memory))
        bytes = Array((bytes + more).suffix(Self.memory))
        let next = ReadableText(bytes).text
        if next != text {
            text = next
            revision += 1
        }
    }

    /// The guest was answered: its output from now on is new.
    mutating func answered() {
        bytes = []
        text = ""
    }

    /// The guest's stage, including the incomplete last line.
    var stage: BootStage {
        let readable = ReadableText(line)
        let stage = readable.hasKernelLog ? max(reached, .kernel) : reached
        return readable.text.split(separator: "\n").reduce(stage) { $0.advanced(by: $1) }
    }

    var lastLine: Substring {
        let line = text.split(separator: "\n").last { !$0.allSatisfy(\.isWhitespace) } ?? ""
        return line[..<(line.lastIndex { !$0.isWhitespace }.map(line.index(after:)) ?? line.startIndex)]
    }
}

/// Console bytes as readable text, and whether they had messages of the kernel's log.
private struct ReadableText {
    private(set) var text: String
    private(set) var hasKernelLog = false

    init(_ bytes: [UInt8]) {
        // Text after a carriage return overwrites the text before it.
        var rest = Array(withoutEscapes(bytes[...]).replacing("\r\n", with: "\n").replacing("\r", with: "\n").utf8)[...]
        var kept: [UInt8] = []
        while let byte = rest.first {
            if byte == UInt8(ascii: "["), Self.isTimeStamp(rest) {
                hasKernelLog = true
                rest = rest.drop { $0 != 10 }.dropFirst()
            } else {
                kept.append(byte)
                rest.removeFirst()
            }
        }
        text = String(decoding: kept, as: UTF8.self)
    }

    /// Whether a message of the kernel's log begins here, as in `[   12.345678] `.
    private static func isTimeStamp(_ bytes: ArraySlice<UInt8>) -> Bool {
        let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        let seconds = bytes.prefix(24).dropFirst().drop { $0 == UInt8(ascii: " ") }
        let fraction = seconds.drop(while: isDigit)
        guard seconds.startIndex < fraction.startIndex, fraction.first == UInt8(ascii: ".") else { return false }
        let end = fraction.dropFirst().drop(while: isDigit)
        return end.startIndex - fraction.startIndex == 7 && end.first == UInt8(ascii: "]")
    }
}

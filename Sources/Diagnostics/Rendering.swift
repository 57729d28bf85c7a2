extension Diagnostic {
    /// The diagnostic as text, without a final newline:
    ///
    /// ```
    /// lab.yaml:3:24: error: unknown key `cuont` (did you mean `count`?)
    ///    3 |   lin: {image: debian, cuont: 5}
    ///      |                        ^~~~~
    ///   cause: …
    ///   note: …
    /// ```
    ///
    /// Control characters in any part are written as escapes. `color` adds terminal colours.
    public func rendered(color: Bool = false) -> String {
        let paint = Paint(isOn: color)
        var lines: [String] = []
        var head = ""
        if let span {
            head += paint.bold("\(span.file.path.escapingControls()):\(span.start.line):\(span.start.column): ")
        }
        head += severity == .error ? paint.red("error: ") : paint.yellow("warning: ")
        head += paint.bold(message.escapingControls())
        if let remedy { head += " (\(remedy.escapingControls()))" }
        lines.append(head)

        if let span, let line = span.file.line(span.start.line) {
            let excerpt = SourceExcerpt(span, line: line)
            let number = String(span.start.line)
            let gutter = max(4, number.count)
            lines.append(String(repeating: " ", count: gutter - number.count) + number + " | " + excerpt.text)
            let caret = "^" + String(repeating: "~", count: excerpt.width - 1)
            lines.append(
                String(repeating: " ", count: gutter) + " | " + String(repeating: " ", count: excerpt.indent)
                    + paint.green(caret))
        }
        if let cause { lines += Self.labelled("cause", cause) }
        for note in notes { lines += Self.labelled("note", note) }
        return lines.joined(separator: "\n")
    }

    /// `  label: first line`, further lines aligned beneath it.
    private static func labelled(_ label: String, _ text: String) -> [String] {
        var lead = "  \(label): "
        let rest = String(repeating: " ", count: lead.count)
        return text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { line in
            defer { lead = rest }
            return lead + line.escapingControls()
        }
    }
}

extension DiagnosticList {
    /// The diagnostics in reading order; those of other sources after those of the first one's, those without a
    /// place last, and each said once.
    public var sorted: [Diagnostic] {
        var order: [String: Int] = [:]
        for case let path? in all.map({ $0.span?.file.path }) where order[path] == nil { order[path] = order.count }
        var seen: Set<Key> = []
        func rank(_ entry: (offset: Int, element: Diagnostic)) -> (file: Int, line: Int, column: Int, offset: Int) {
            guard let span = entry.element.span else { return (.max, 0, 0, entry.offset) }
            return (order[span.file.path] ?? 0, span.start.line, span.start.column, entry.offset)
        }
        return
            all
            .filter { seen.insert(Key(message: $0.message, path: $0.span?.file.path, start: $0.span?.start)).inserted }
            .enumerated().sorted { rank($0) < rank($1) }.map(\.element)
    }

    /// What makes two diagnostics the same one.
    private struct Key: Hashable {
        let message: String
        let path: String?
        let start: SourcePosition?
    }

    /// Diagnostics that `rendered` shows at most.
    static let shown = 100

    /// The diagnostics as text, in reading order, without a final newline; of very many the first, and how many more.
    public func rendered(color: Bool = false) -> String {
        let sorted = sorted
        let more = sorted.count > Self.shown ? ["and \(sorted.count - Self.shown) more"] : []
        return (sorted.prefix(Self.shown).map { $0.rendered(color: color) } + more).joined(separator: "\n")
    }
}

/// Terminal colours, or none.
private struct Paint {
    let isOn: Bool

    func bold(_ text: String) -> String { wrap(text, "1") }
    func red(_ text: String) -> String { wrap(text, "1;31") }
    func yellow(_ text: String) -> String { wrap(text, "1;33") }
    func green(_ text: String) -> String { wrap(text, "1;32") }

    private func wrap(_ text: String, _ code: String) -> String {
        isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}

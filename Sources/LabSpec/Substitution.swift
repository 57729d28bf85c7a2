import Diagnostics
import YAMLTree

/// Fills `${{ matrix.axis }}` in, everywhere in a tree.
struct Substitution {
    /// The cell's values; an axis that only other cells have is the empty text, as in GitHub Actions.
    let values: [String: YAMLScalar]
    /// Every axis of the matrix, in order.
    let names: [String]
    /// Whether the matrix itself could not be read: then nothing is filled in or reported.
    var isBlind = false

    /// The tree with every expression filled in; what cannot be is reported and left as it is.
    func filled(_ node: YAMLNode, _ decoding: Decoding) -> YAMLNode {
        switch node.content {
        case .scalar(let scalar):
            guard scalar.text.hasExpression else { return node }
            return YAMLNode(.scalar(filled(scalar, at: node.span, decoding)), at: node.span)
        case .sequence(let elements):
            return YAMLNode(.sequence(elements.map { filled($0, decoding) }), at: node.span)
        case .mapping(let entries):
            let filled = entries.map { entry in
                var filled = entry
                if entry.key.hasExpression {
                    filled.key = self.filled(YAMLScalar(entry.key), at: entry.keySpan, decoding).text
                }
                filled.value = self.filled(entry.value, decoding)
                return filled
            }
            return YAMLNode(.mapping(filled), at: node.span)
        }
    }

    /// A scalar with its expressions filled in. A lone expression becomes the matrix's value as it is written; text around it may
    /// form a number, whatever its quotes.
    private func filled(_ scalar: YAMLScalar, at span: SourceSpan, _ decoding: Decoding) -> YAMLScalar {
        guard !isBlind else { return scalar }
        var text = ""
        var rest = scalar.text[...]
        var isResolved = true
        while let open = rest.utf8.firstRange(of: "${{".utf8) {
            text += rest[..<open.lowerBound]
            guard let close = rest.utf8[open.upperBound...].firstRange(of: "}}".utf8) else {
                decoding.error(
                    "`${{` is never closed", remedy: "write `${{ matrix.axis }}`",
                    at: decoding.place(of: "${{", in: span))
                return scalar
            }
            let whole = rest[open.lowerBound..<close.upperBound]
            let inner = rest[open.upperBound..<close.lowerBound].trimmed
            if let value = value(of: inner, whole: whole, at: span, decoding) {
                if text.isEmpty, whole.count == scalar.text.count { return value }
                text += value.text
            } else {
                isResolved = false
            }
            rest = rest[close.upperBound...]
        }
        guard isResolved else { return scalar }
        return YAMLScalar(text + rest, style: scalar.isBlock ? scalar.style : .plain)
    }

    private func value(
        of expression: Substring, whole: Substring, at span: SourceSpan, _ decoding: Decoding
    ) -> YAMLScalar? {
        // Searched for only when there is something to report.
        var place: SourceSpan { decoding.place(of: whole, in: span) }
        guard expression.hasPrefix("matrix.") else {
            return decoding.refuse(
                "\(whole.quoted()) is not known here", remedy: "only `${{ matrix.axis }}` is filled in", at: place)
        }
        let axis = String(expression.dropFirst("matrix.".count))
        if let value = values[axis] { return value }
        if names.contains(axis) { return YAMLScalar("", style: .doubleQuoted) }
        guard !names.isEmpty else {
            return decoding.refuse(
                "\(whole.quoted()), but the lab has no matrix",
                remedy: "add `matrix: {\(axis.escapingControls()): […]}`", at: place)
        }
        return decoding.refuse(
            "the matrix has no axis \(axis.quoted())",
            remedy: decoding.didYouMean(axis, names) ?? "it has \(names.listed)", at: place)
    }
}

extension YAMLNode {
    /// How many values the tree has, and at most how many expressions: its `$` signs.
    var weight: (values: Int, expressions: Int) {
        switch content {
        case .scalar(let scalar): (1, scalar.text.utf8.count(where: { $0 == UInt8(ascii: "$") }))
        case .sequence(let elements): elements.reduce((1, 0)) { Self.sum($0, $1.weight) }
        case .mapping(let entries):
            entries.reduce((1, 0)) { sum, entry in
                let inKey = entry.key.utf8.count(where: { $0 == UInt8(ascii: "$") })
                return Self.sum(Self.sum(sum, (0, inKey)), entry.value.weight)
            }
        }
    }

    private static func sum(_ left: (Int, Int), _ right: (Int, Int)) -> (Int, Int) {
        (left.0 + right.0, left.1 + right.1)
    }
}

extension String {
    var hasExpression: Bool { utf8.contains(UInt8(ascii: "$")) && contains("${{") }
}

extension StringProtocol {
    var trimmed: SubSequence {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return self[endIndex...] }
        return self[first...last]
    }

    /// Without the characters at the end that satisfy the test.
    func trimmingSuffix(while test: (Character) -> Bool) -> SubSequence {
        guard let last = lastIndex(where: { !test($0) }) else { return self[startIndex..<startIndex] }
        return self[...last]
    }
}

extension SourceSpan {
    /// Where `text` first stands within the span, or the span itself when it is not there.
    func locating(_ text: String) -> SourceSpan { place(of: text) ?? self }

    /// Where `text` first stands within the span's first 64 KiB.
    func place(of text: String) -> SourceSpan? {
        let count = text.unicodeScalars.count
        var left = 1 << 16
        for number in start.line...max(start.line, end.line) where left > 0 {
            guard let line = file.line(number) else { break }
            let skipped = number == start.line ? start.column - 1 : 0
            let place = line.unicodeScalars.index(line.startIndex, offsetBy: skipped, limitedBy: line.endIndex)
            let bytes = line.utf8[(place ?? line.endIndex)...].prefix(left)
            left -= bytes.count + 1
            guard let found = bytes.firstRange(of: text.utf8) else { continue }
            let column = line[..<found.lowerBound].unicodeScalars.count + 1
            return SourceSpan(file: file, line: number, columns: column..<(column + count))
        }
        return nil
    }
}

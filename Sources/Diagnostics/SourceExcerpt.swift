/// One line of a source with a caret line beneath it, as a terminal shows them.
struct SourceExcerpt {
    /// The line, tabs expanded, unprintable characters escaped, clipped around the caret.
    let text: String
    /// Blanks up to the place.
    let indent: Int
    /// Columns that the place covers, at least 1.
    let width: Int

    /// Columns of source shown at most.
    static let maximumWidth = 100
    /// Where tab stops are.
    static let tabWidth = 4

    /// The first line of `span`, whose text is `line`.
    init(_ span: SourceSpan, line: Substring) {
        // Only what can be shown is looked at: a line may be megabytes long, and hundreds of mistakes in it.
        let scalars = line.unicodeScalars
        func step(_ index: String.Index, _ count: Int) -> String.Index {
            scalars.index(index, offsetBy: count, limitedBy: count < 0 ? scalars.startIndex : scalars.endIndex)
                ?? (count < 0 ? scalars.startIndex : scalars.endIndex)
        }
        let caret = step(scalars.startIndex, max(span.start.column - 1, 0))
        let shown = step(caret, -2 * Self.maximumWidth)..<step(caret, 2 * Self.maximumWidth)
        // One cell per scalar: columns count scalars, and each says how wide it is shown.
        var cells: [(shown: String, width: Int)] = []
        var column = 0
        for scalar in scalars[shown] {
            let text: String
            if scalar == "\t" {
                text = String(repeating: " ", count: Self.tabWidth - column % Self.tabWidth)
            } else {
                text = scalar.shown
            }
            let width = text.unicodeScalars.reduce(0) { $0 + $1.displayWidth }
            cells.append((text, width))
            column += width
        }

        let start = scalars.distance(from: shown.lowerBound, to: caret)
        let length = span.end.line > span.start.line ? cells.count : span.end.column - span.start.column
        var end = min(max(start + length, start), cells.count)

        // Grow a window around the caret, first to the left for context, then to the right.
        var first = start
        var used = 0
        while first > 0, used + cells[first - 1].width <= Self.maximumWidth / 2 {
            first -= 1
            used += cells[first].width
        }
        var past = start
        while past < cells.count, used + cells[past].width <= Self.maximumWidth {
            used += cells[past].width
            past += 1
        }
        while first > 0, used + cells[first - 1].width <= Self.maximumWidth {
            first -= 1
            used += cells[first].width
        }
        end = min(end, past)

        let clippedLeft = first > 0 || shown.lowerBound > scalars.startIndex
        let clippedRight = past < cells.count || shown.upperBound < scalars.endIndex
        text = (clippedLeft ? "…" : "") + cells[first..<past].map(\.shown).joined() + (clippedRight ? "…" : "")
        indent = cells[first..<start].reduce(clippedLeft ? 1 : 0) { $0 + $1.width }
        width = max(1, cells[start..<end].reduce(0) { $0 + $1.width })
    }
}

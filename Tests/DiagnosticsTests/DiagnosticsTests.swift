import Diagnostics
import Testing

/// A span within one line.
private func span(_ text: String, line: Int = 1, from start: Int, to end: Int, path: String = "lab.yaml") -> SourceSpan
{
    SourceSpan(
        file: SourceFile(path: path, text: text), start: SourcePosition(line: line, column: start),
        end: SourcePosition(line: line, column: end))
}

@Suite struct RenderingTests {
    @Test func everyPart() {
        let diagnostic = Diagnostic(
            .specification, "a guest group has no key `cuont`", remedy: "did you mean `count`?", cause: "because",
            at: span("lab: x\nlin: {cuont: 5}\n", line: 2, from: 7, to: 12), notes: ["one\ntwo", "three"])
        #expect(
            diagnostic.rendered(color: false) == """
                lab.yaml:2:7: error: a guest group has no key `cuont` (did you mean `count`?)
                   2 | lin: {cuont: 5}
                     |       ^~~~~
                  cause: because
                  note: one
                        two
                  note: three
                """)
    }

    @Test func withoutPlace() {
        #expect(Diagnostic(.host, "no QEMU", severity: .warning).rendered() == "warning: no QEMU")
    }

    @Test func colourChangesNothingElse() {
        let diagnostic = Diagnostic(.host, "no QEMU", at: span("abc", from: 2, to: 3))
        let coloured = diagnostic.rendered(color: true)
        #expect(coloured.contains("\u{1B}[1;31merror: \u{1B}[0m"))
        #expect(coloured.replacing(/\u{1B}\[[0-9;]*m/, with: "") == diagnostic.rendered())
    }

    @Test(arguments: [
        // Tabs move the caret to tab stops.
        ("\ta\tb: c", 4, 5, "    a   b: c", "        ^"),
        // Wide characters take two columns, combining marks none.
        ("名前: x", 5, 6, "名前: x", "      ^"),
        ("e\u{301}e\u{301}: x", 7, 8, "e\u{301}e\u{301}: x", "    ^"),
        ("a: 名前 b", 4, 6, "a: 名前 b", "   ^~~~"),
        // Escapes are as long as they are shown.
        ("a\u{1B}b: x", 5, 6, "a\\u{1B}b: x", "         ^"),
        // At the end of the line and beyond.
        ("ab", 3, 3, "ab", "  ^"),
        ("ab", 40, 50, "ab", "  ^"),
        ("", 1, 2, "", "^"),
    ])
    func caret(_ line: String, _ start: Int, _ end: Int, _ shown: String, _ caret: String) {
        let lines = Diagnostic(.host, "m", at: span(line, from: start, to: end)).rendered()
            .split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.map(String.init) == ["lab.yaml:1:\(start): error: m", "   1 | " + shown, "     | " + caret])
    }

    @Test func longLinesAreClippedAroundTheCaret() throws {
        let text = String(repeating: "a", count: 5000) + "XY" + String(repeating: "b", count: 5000)
        let lines = Diagnostic(.host, "m", at: span(text, from: 5001, to: 5003)).rendered().split(separator: "\n")
        let source = try #require(lines.dropFirst().first)
        #expect(source.count < 120 && source.hasPrefix("   1 | …a") && source.hasSuffix("b…"))
        let caret = try #require(lines.last?.firstIndex(of: "^"))
        let column = lines[2].distance(from: lines[2].startIndex, to: caret)
        #expect(source.dropFirst(column).hasPrefix("XYb") && lines[2].hasSuffix("^~"))
    }

    @Test func aSpanOverLinesEndsWithItsFirst() {
        let file = SourceFile(path: "f", text: "a: {b\n c}\n")
        let place = SourceSpan(
            file: file, start: SourcePosition(line: 1, column: 4), end: SourcePosition(line: 2, column: 3))
        #expect(Diagnostic(.host, "m", at: place).rendered().hasSuffix("\n     |    ^~"))
    }

    @Test func aLineThatIsNotThereIsNotShown() {
        #expect(Diagnostic(.host, "m", at: span("a", line: 9, from: 1, to: 2)).rendered() == "lab.yaml:9:1: error: m")
    }

    @Test func controlCharactersAreEscaped() {
        let text = Diagnostic(.host, "a\u{1B}[2Jb", remedy: "c\nd", cause: "e\u{7}", notes: ["\u{202E}x"]).rendered()
        #expect(
            text == """
                error: a\\u{1B}[2Jb (c\\nd)
                  cause: e\\u{7}
                  note: \\u{202E}x
                """)
        #expect("a\tb\u{0}".quoted() == "`a\\tb\\u{0}`")
        #expect(String(repeating: "x", count: 99).quoted(limit: 5) == "`xxxxx…`")
    }

    @Test func listsAreInReadingOrderAndSayThingsOnce() {
        let text = "a\nb\nc"
        let list = DiagnosticList([
            Diagnostic(.host, "three", at: span(text, line: 3, from: 1, to: 2)),
            Diagnostic(.host, "nowhere"),
            Diagnostic(.host, "set", at: span("k=v", from: 1, to: 2, path: "--set")),
            Diagnostic(.host, "one", at: span(text, line: 1, from: 1, to: 2)),
            Diagnostic(.host, "one", at: span(text, line: 1, from: 1, to: 2)),
        ])
        #expect(list.sorted.map(\.message) == ["one", "three", "set", "nowhere"])
        #expect(list.rendered().hasSuffix("error: nowhere"))
        #expect(list.hasErrors && !DiagnosticList([Diagnostic(.host, "w", severity: .warning)]).hasErrors)
    }
}

@Suite struct SourceFileTests {
    @Test func linesEndAsInYAML() {
        let file = SourceFile(path: "f", text: "a\r\nb\rc\n\u{E9}\u{85}d\u{2028}e\n")
        #expect((1...8).map { file.line($0).map(String.init) } == ["a", "b", "c", "é", "d", "e", "", nil])
        #expect(file.line(0) == nil)
    }
}

@Suite struct ClosestTests {
    @Test(arguments: [
        ("cuont", "count"), ("COUNT", "count"), ("memroy", "memory"), ("coun", "count"), ("counts", "count"),
        ("c", nil), ("xyzzy", nil), ("", nil), ("count", nil), ("disk", nil),
    ])
    func word(_ word: String, _ expected: String?) {
        #expect(closest(to: word, in: ["count", "memory", "cpus"]) == expected)
    }

    @Test func theNearestWinsThenTheFirst() {
        #expect(closest(to: "lab-3", in: ["lab-22", "lab-1", "lab-2"]) == "lab-1")
        #expect(didYouMean("lan", ["lin", "LAN"]) == "did you mean `LAN`?")
        #expect(didYouMean("q", ["lin"]) == nil)
    }

    @Test func longWordsHaveNoNeighbours() {
        #expect(closest(to: String(repeating: "a", count: 65), in: [String(repeating: "a", count: 64)]) == nil)
    }
}

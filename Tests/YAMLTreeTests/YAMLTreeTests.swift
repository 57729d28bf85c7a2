import Diagnostics
import Testing

@testable import YAMLTree

/// Reads a text.
private func read(_ text: String, limits: YAMLLimits = YAMLLimits()) -> YAMLDocument {
    YAMLDocument.parse(SourceFile(path: "t.yaml", text: text), limits: limits)
}

/// What a tree says, places aside: quoted scalars in quotes, plain ones bare.
private func flat(_ node: YAMLNode?) -> String {
    switch node?.content {
    case nil: "nothing"
    case .scalar(let scalar): scalar.isPlain ? scalar.text : "'\(scalar.text)'"
    case .sequence(let elements): "[" + elements.map(flat).joined(separator: ", ") + "]"
    case .mapping(let entries): "{" + entries.map { "\($0.key): \(flat($0.value))" }.joined(separator: ", ") + "}"
    }
}

/// `line:column message` of each problem.
private func problems(_ text: String, limits: YAMLLimits = YAMLLimits()) -> [String] {
    read(text, limits: limits).problems.map {
        "\($0.span?.start.line ?? 0):\($0.span?.start.column ?? 0) \($0.message)"
    }
}

@Suite struct ReadingTests {
    @Test(arguments: [
        ("a: 1\nb: [x, 'y', \"z\"]\n", "{a: 1, b: [x, 'y', 'z']}"),
        ("", "nothing"), ("# only words\n", "nothing"), ("---\n...\n", ""),
        // Nothing is typed: YAML 1.1's truth values stay words, also as keys.
        ("on: yes\noff: no\ny: 1_000\nnull: ~\n", "{on: yes, off: no, y: 1_000, null: ~}"),
        ("a: |\n  one\n  two\nb: >-\n  one\n  two\n", "{a: 'one\ntwo\n', b: 'one two'}"),
        ("a: !!str 5\nb: ! x\n", "{a: '5', b: 'x'}"),
        ("a: &x {k: 1}\nb: *x\n", "{a: {k: 1}, b: {k: 1}}"),
        ("base: &b {m: 1, n: 2}\nlin: {<<: *b, n: 3}\n", "{base: {m: 1, n: 2}, lin: {n: 3, m: 1}}"),
        ("x: &x {m: 1}\ny: &y {m: 2, n: 3}\nz: {<<: [*x, *y]}\n", "{x: {m: 1}, y: {m: 2, n: 3}, z: {m: 1, n: 3}}"),
        ("'<<': 1\n", "{<<: 1}"),
        ("ключ: \"\\u00e9\"\r\nb: 2\r\n", "{ключ: 'é', b: 2}"),
    ])
    func tree(_ text: String, _ expected: String) {
        let document = read(text)
        #expect(flat(document.root) == expected)
        #expect(document.problems.isEmpty)
    }

    @Test func placesCountCharacters() throws {
        let root = try #require(read("名前: {a: é b, c: [x]}\n").root)
        let entry = try #require(root.entries?.first)
        #expect(entry.keySpan.start == SourcePosition(line: 1, column: 1))
        #expect(entry.keySpan.end == SourcePosition(line: 1, column: 3))
        let scalar = try #require(root["名前"]?["a"])
        #expect(scalar.span.start.column == 9 && scalar.span.end.column == 12)
        #expect(root["名前"]?["c"]?.span.start.column == 17)
        #expect(root["nothing"] == nil)
    }

    @Test func placesWithinALongerText() throws {
        let file = SourceFile(path: "--set", text: "a.b={c: 1}")
        let root = try #require(YAMLDocument.parse("{c: 1}", in: file, column: 5).root)
        #expect(root.span.start.column == 5)
        #expect(root.entries?.first?.keySpan.start.column == 6)
    }

    @Test func onlyPlainNothingIsNothing() {
        #expect(read("a:\n").root?["a"]?.isNull == true)
        #expect(read("a: ~\n").root?["a"]?.isNull == true)
        #expect(read("a: ''\n").root?["a"]?.isNull == false)
        #expect(read("a: 'null'\n").root?["a"]?.isNull == false)
    }
}

@Suite struct ProblemTests {
    @Test(arguments: [
        ("a: 1\nb: 2\na: 3\nb: 4\n", ["3:1 the key `a` is given twice", "4:1 the key `b` is given twice"]),
        ("? [x]\n: 1\n", ["1:3 a key must be a word, not a list or a map"]),
        (
            "a: !foo 1\nb: !!int 2\n",
            ["1:4 the tag `!foo` means nothing here", "2:4 the tag `!!int` means nothing here"]
        ),
        ("a: *x\n", ["1:4 no anchor `&x` comes before this alias"]),
        ("a: &x [*x]\n", ["1:8 the alias `*x` is within its own anchor"]),
        ("a: 1\n---\nb: 2\n", ["2:1 a second document begins here"]),
        ("<<: 5\n", ["1:5 `<<` takes a map or a list of maps"]),
        ("a: [1, 2\nb: 3\n", ["2:2 the list opened in line 1 lacks a `,` or its closing `]`"]),
        ("a: {b: 1\n", ["1:4 this map is never closed"]),
        ("a: 'x\n", ["1:4 this quote is never closed"]),
        ("a:\n\tb: 1\n", ["2:1 a tab cannot be used for indentation"]),
        ("a: b: c\n", ["1:5 a `:` is not allowed here"]),
        ("a: 1\n b: 2\n", ["2:3 a `:` is not allowed here"]),
        ("a: @x\n", ["1:4 a value cannot begin with this character"]),
        ("a\nb: 1\n", ["2:2 a `:` is not allowed here"]),
        ("- a\nb: 1\n", ["2:1 a `- ` of the list begun in line 1 is expected here"]),
        ("a: 1\n- b\n", ["2:1 a key of the map begun in line 1 is expected here"]),
        ("a: \"\\q\"\n", ["1:5 this escape is unknown"]),
        ("a: b\u{0}c\n", ["1:5 the text contains a NUL byte"]),
        ("k: 1\na: b\u{1}c\n", ["2:5 this character is not allowed in YAML"]),
        ("a: {b: ${{ matrix.x }}}\n", ["1:9 this is not YAML"]),
    ])
    func problem(_ text: String, _ expected: [String]) {
        #expect(problems(text) == expected)
    }

    @Test func everyProblemIsASpecificationErrorWithAPlace() {
        for text in ["a: [", "%", "{", "- - ]", "a: \"\u{2028}", "&a", "? ", "!<", "a: |x\n", "%YAML 9.9\n---\n"] {
            for problem in read(text).problems {
                #expect(problem.category == .specification && problem.span != nil, "\(text)")
            }
        }
    }

    @Test func bytesThatAreNotTextAreNamed() throws {
        let source = try YAMLDocument.source(path: "x", bytes: [0xEF, 0xBB, 0xBF] + Array("a: 1".utf8))
        #expect(source.text == "a: 1")
        let invalid = #expect(throws: Diagnostic.self) {
            try YAMLDocument.source(path: "x", bytes: Array("a: 1\nb: ".utf8) + [0xFF, 0x41])
        }
        #expect(invalid?.span?.start == SourcePosition(line: 2, column: 4))
        let utf16 = #expect(throws: Diagnostic.self) {
            try YAMLDocument.source(path: "x", bytes: [0xFF, 0xFE, 0x61, 0x00])
        }
        #expect(utf16?.message == "`x` is UTF-16")
    }
}

@Suite struct LimitTests {
    @Test func aBombIsAnErrorAtOnce() {
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let previous = "*a\(level - 1)"
            bomb += "a\(level): &a\(level) [" + Array(repeating: previous, count: 9).joined(separator: ", ") + "]\n"
        }
        let clock = ContinuousClock()
        let start = clock.now
        #expect(problems(bomb).count == 1)
        #expect(problems(bomb)[0].hasSuffix("the file has more than 500000 values"))
        #expect(clock.now - start < .seconds(60))
    }

    @Test func aBombOfMergesIsAnErrorToo() {
        let keys = (0..<1000).map { "k\($0): 1" }.joined(separator: ", ")
        let users = (0..<1000).map { "u\($0): {<<: *a}\n" }.joined()
        #expect(problems("a: &a {\(keys)}\n" + users).count == 1)
    }

    @Test func depthIsBounded() {
        let deep = String(repeating: "[", count: 64) + "x"
        #expect(problems(deep)[0].hasSuffix("values are nested deeper than 64 levels"))
        #expect(problems(String(repeating: "[", count: 100_000)).count == 1)
        #expect(problems(String(repeating: "- ", count: 100_000)).count == 1)
        #expect(problems(String(repeating: "{a: ", count: 100_000)).count == 1)
        // Also by way of aliases.
        let half = String(repeating: "[", count: 40) + "x" + String(repeating: "]", count: 40)
        let aliased = String(repeating: "[", count: 40) + "*a" + String(repeating: "]", count: 40)
        #expect(problems("a: &a \(half)\nb: \(half)\n").isEmpty)
        #expect(problems("a: &a \(half)\nb: \(aliased)\n").count == 1)
    }

    @Test func sizeIsBounded() throws {
        #expect(problems("a: 12345", limits: YAMLLimits(bytes: 7)) == ["0:0 `t.yaml` has 8 bytes; at most 7 are read"])
        #expect(throws: Diagnostic.self) {
            try YAMLDocument.source(path: "x", bytes: [0x61, 0x61], limits: YAMLLimits(bytes: 1))
        }
    }
}

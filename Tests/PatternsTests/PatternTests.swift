import Patterns
import Testing

/// Far enough for a loaded host; nothing here should come near it.
private var soon: ContinuousClock.Instant { .now + .seconds(60) }

/// The text of the first match; nil when there is none.
private func firstMatch(of pattern: String, in text: String, anchors: Pattern.Anchors = .lines) async throws -> String?
{
    let bytes = Array(text.utf8)
    guard case .match(let ranges) = try await Pattern(pattern, anchors: anchors).search(bytes, deadline: soon) else {
        return nil
    }
    return ranges[0].map { String(decoding: bytes[$0], as: UTF8.self) }
}

@Suite("Patterns")
struct PatternTests {
    @Test(
        "what lab authors write means what it meant",
        arguments: [
            ("^Linux 6\\.", "x\nLinux 6.1", "Linux 6."), ("^b$", "a\r\nb\r\n", "b"), ("a.b", "a\rb", nil),
            ("a$", "a\u{85}b", "a"), ("a$", "a\u{2028}b", "a"), ("a.b", "a\u{2028}b", nil), ("^\\d$", "٣", "٣"),
            ("^\\w$", "é", "é"), ("(?i)É", "é", "é"), ("^.$", "e\u{301}", nil), ("\\s", "\u{a0}", "\u{a0}"),
            ("\\x{41}", "A", "A"), ("(?<n>a)\\k<n>", "aa", "aa"), ("\\p{Lu}", "xA", "A"), ("[[:alpha:]]", "1a", "a"),
            ("\\Ab", "a\nb", nil), ("a\\z", "a\n", nil), ("a\\Z", "a\n", "a"), ("\\Qa.b\\E", "axb a.b", "a.b"),
            ("\\h", "\t", "\t"), ("a++b", "aab", "aab"), ("]", "]", "]"), ("\\{,3}", "{,3}", "{,3}"),
            ("\\Q&{,3}\\E", "&{,3}", "&{,3}"), ("a{,x}", "a{,x}", "a{,x}"),
            ("[&][&]", "&&", "&&"), ("{", "{", "{"), ("\\e\\[0m", "\u{1b}[0m", "\u{1b}[0m"),
            ("^(sh-\\d+|cmd-\\d+)\\s*$", "sh-12 \n", "sh-12 \n"), ("(?s)a.b", "a\nb", "a\nb"), ("\\R", "\r\n", "\r\n"),
            ("x*", "", ""), ("$", "abc", ""), ("^", "abc", ""), ("\\0", "a\0b", "\0"),
        ] as [(String, String, String?)])
    func meaning(_ pattern: String, _ text: String, _ wanted: String?) async throws {
        #expect(try await firstMatch(of: pattern, in: text) == wanted)
    }

    @Test("what they could not write before", arguments: [("(?<=a)b", "ab", "b"), ("^(?!.*fail)", "all well", "")])
    func more(_ pattern: String, _ text: String, _ wanted: String) async throws {
        #expect(try await firstMatch(of: pattern, in: text) == wanted)
    }

    @Test("anchors of the whole text")
    func wholeText() async throws {
        #expect(try await firstMatch(of: "> $", in: "a> \nb> ", anchors: .text) == "> ")
        #expect(try await firstMatch(of: "> $", in: "a> \n", anchors: .text) == nil)
        #expect(try await firstMatch(of: "^b", in: "a\nb", anchors: .text) == nil)
    }

    @Test(
        "what is no expression is told with its place",
        arguments: [
            ("a(b", 3), ("a[b", 3), ("*a", 0), ("ab**c(", 3), ("é\\C", 3), ("a\\u{41}", 3), ("(?<=a+)b", 0),
            ("x[a-z&&[^aeiou]]", 5), ("a{,3}", 1), ("\\Q{,3}\\E{,4}", 8),
        ])
    func problems(_ text: String, _ offset: Int) {
        let problem = #expect(throws: PatternProblem.self) { try Pattern(text) }
        #expect(problem?.offset == offset, "\(problem?.reason ?? "")")
    }

    @Test("an expression that would grow without bound is refused, and one that is too long")
    func size() {
        #expect(throws: PatternProblem.self) { try Pattern("(?:(?:(?:a{0,1000}){0,1000}){0,1000}){0,1000}") }
        #expect(throws: PatternProblem.self) { try Pattern(String(repeating: "(", count: 1000)) }
        #expect(throws: PatternProblem.self) { try Pattern(String(repeating: "a", count: 100_000)) }
    }

    @Test("a group that took no part has no place")
    func groups() async throws {
        let finding = try await Pattern("(a)|(b)").search(Array("b".utf8), deadline: soon)
        #expect(finding == .match([0..<1, nil, 0..<1]))
    }

    @Test("a match in any slice of a long text is found, at its place")
    func slices() async throws {
        let pattern = try Pattern("^n(e)edle$")
        for place in [0, 63, 64, 65, 320, 16_400, 99_990] {
            let text = Array(
                (String(repeating: "é\n", count: place) + "needle\r\n" + String(repeating: "x\n", count: 70_000)).utf8)
            let found = try await pattern.search(text, deadline: soon)
            #expect(found == .match([3 * place..<3 * place + 6, 3 * place + 1..<3 * place + 2]))
        }
    }

    @Test("a line end of two bytes is none between them, wherever a slice begins", arguments: 60..<68)
    func lineEnds(_ before: Int) async throws {
        let text = String(repeating: "x", count: before) + "\r\n" + String(repeating: "y", count: 5000)
        #expect(try await firstMatch(of: "^$", in: text) == nil)
    }
}

@Suite("Patterns whose search would not end")
struct BoundTests {
    /// Patterns and texts that have no match, and for which there are more ways to find that out than anybody has time for.
    static let hopeless: [(String, String)] = [
        ("^(\\w+ ?)+: ok$", "the quick brown fox jumps over the lazy dog again: fail"),
        ("^(a+)+$", String(repeating: "a", count: 64) + "b"),
        ("(x+x+)+y", String(repeating: "x", count: 200) + " y"),
        ("^(?:[ab]*[bc]*[cb]*[be]*)+zz", String(repeating: "b", count: 200) + "z yzz"),
        ("^(a|aa)+$", String(repeating: "a", count: 10_000) + "b"),
        ("^(.*)(.*)(.*)(.*)(.*)\\1\\2\\3\\4\\5zz$", String(repeating: "b", count: 3000) + "zz x"),
    ]

    @Test("A2, S3: a pattern ends at its deadline, and says so", arguments: hopeless.indices)
    func deadline(_ index: Int) async throws {
        let (text, subject) = Self.hopeless[index]
        let pattern = try Pattern(text)
        await #expect(throws: PatternFailure.tooSlow(pattern: text)) {
            try await pattern.matches(somewhereIn: subject, deadline: .now + .milliseconds(50))
        }
    }

    @Test("A2: a search ends when its task is cancelled")
    func cancellation() async throws {
        let pattern = try Pattern("^(a+)+$")
        let search = Task {
            try await pattern.matches(
                somewhereIn: String(repeating: "a", count: 64) + "b", deadline: .now + .seconds(3600))
        }
        search.cancel()
        await #expect(throws: CancellationError.self) { try await search.value }
    }

    @Test("S3: more such searches than processors leave everybody else alone")
    func others() async throws {
        let pattern = try Pattern("^(a+)+$")
        await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    _ = try await pattern.matches(
                        somewhereIn: String(repeating: "a", count: 64) + "b", deadline: .now + .seconds(3600))
                }
            }
            await #expect(throws: Never.self) {
                let isMet = try await Pattern("b$").matches(somewhereIn: "a\nb", deadline: soon)
                #expect(isMet)
            }
            group.cancelAll()
            await #expect(throws: CancellationError.self) { try await group.waitForAll() }
        }
    }

    @Test(
        "S3: long lines are searched in no time",
        arguments: [
            (".*done", "x", 300_000, "", false), ("a*b", "a", 300_000, "", false),
            ("[0-9a-f]+ done", "0123456789abcdef", 6250, "", false),
            ("[0-9a-f]+ done", "0123456789abcdef", 6250, " done", true), ("(?s).*done", "x\n", 2 << 20, "", false),
        ])
    func longLines(_ pattern: String, _ unit: String, _ count: Int, _ end: String, _ wanted: Bool) async throws {
        let text = String(repeating: unit, count: count) + end
        #expect(try await Pattern(pattern).matches(somewhereIn: text, deadline: soon) == wanted)
    }

    @Test("a pattern that needs too much memory is told apart from one that does not match")
    func memory() async throws {
        let text = String(repeating: "the quick brown fox\n", count: 1 << 19)
        await #expect(throws: PatternFailure.tooLarge(pattern: "(.|\\n)*zzz")) {
            try await Pattern("(.|\\n)*zzz").matches(somewhereIn: text, deadline: soon)
        }
    }

    @Test("a quick search gives up by its steps, not by the clock")
    func quick() throws {
        let pattern = try Pattern("^(a+)+$", anchors: .text)
        let text = Array((String(repeating: "a", count: 64) + "b").utf8)
        #expect(throws: PatternFailure.tooSlow(pattern: "^(a+)+$")) {
            _ = try text.withUnsafeBytes { try pattern.quickSearch($0) }
        }
        let finding = try Array("aaa".utf8).withUnsafeBytes { try pattern.quickSearch($0) }
        #expect(finding == .match([0..<3, 0..<3]))
    }
}

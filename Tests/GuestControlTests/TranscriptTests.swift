import HostSystem
import Patterns
import Testing

@testable import GuestControl

@Suite("What a guest says, for waiting on it", .timeLimit(.minutes(1)))
struct TranscriptTests {
    private static var soon: ContinuousClock.Instant { .now + .seconds(50) }

    private func transcript(_ texts: String...) -> Transcript {
        let transcript = Transcript()
        for text in texts { transcript.append(Array(text.utf8)[...]) }
        return transcript
    }

    @Test("a match takes all up to its end away")
    func order() async throws {
        let transcript = transcript("login: roo", "t\r\npass", "word: x\n")
        let first = try await transcript.expect(Pattern("^login: (\\w+)$"), deadline: Self.soon)
        #expect(first == PatternMatch(before: "", text: "login: root", captures: ["root"]))
        let second = try await transcript.expect(Pattern("word: |(never)"), deadline: Self.soon)
        #expect(second == PatternMatch(before: "\npass", text: "word: ", captures: [nil]))
        #expect(transcript.rest == "x\n")
    }

    @Test("a pattern is met across pieces of any size", arguments: [1, 2, 3, 7, 100])
    func pieces(_ size: Int) async throws {
        let text = Array("[    1.0] ok é\r\n[    2.0] systemd: Reached target Ü-login\r\n".utf8)
        let transcript = Transcript()
        async let match = transcript.expect(Pattern("^\\[ +(\\d\\.\\d)\\] systemd: .* Ü-login$"), deadline: Self.soon)
        for start in stride(from: 0, to: text.count, by: size) {
            transcript.append(text[start..<min(start + size, text.count)])
            await Task.yield()
        }
        #expect(try await match?.captures == ["2.0"])
    }

    @Test("two waits at once each meet their own")
    func two() async throws {
        let transcript = Transcript()
        async let one = transcript.expect(Pattern("first"), deadline: Self.soon)
        async let other = transcript.expect(Pattern("second"), deadline: Self.soon)
        transcript.append(Array("first\nsecond\n".utf8)[...])
        // Whichever is met first takes what is before it away.
        transcript.append(Array("first\n".utf8)[...])
        #expect(try await one?.text == "first")
        #expect(try await other?.text == "second")
    }

    @Test("S3: a long stream is searched once, not again with each piece")
    func linear() async throws {
        let transcript = Transcript()
        async let match = transcript.expect(Pattern("[0-9a-f]+ done"), deadline: Self.soon)
        let piece = Array(String(repeating: "0123456789abcdef ", count: 60).utf8) + [10]
        for _ in 0..<4000 { transcript.append(piece[...]) }
        transcript.append(Array("1f done".utf8)[...])
        #expect(try await match?.text == "1f done")
    }

    @Test("A2: a search that does not end is ended at the deadline")
    func endless() async throws {
        let transcript = transcript(String(repeating: "a", count: 64) + "b\n")
        await #expect(throws: PatternFailure.tooSlow(pattern: "^(a+)+$")) {
            try await transcript.expect(Pattern("^(a+)+$"), deadline: .now + .milliseconds(100))
        }
    }

    @Test("A3: what is dropped of a long console is counted")
    func dropped() async throws {
        let transcript = transcript("needle\n")
        for _ in 0..<40 { transcript.append(Array(String(repeating: "é\n", count: 40_000).utf8)[...]) }
        #expect(transcript.dropped > 2 << 20)
        transcript.end()
        #expect(try await transcript.expect(Pattern("needle"), deadline: Self.soon) == nil)
    }
}

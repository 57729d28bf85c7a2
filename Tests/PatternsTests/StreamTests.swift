import Patterns
import Testing

private var soon: ContinuousClock.Instant { .now + .seconds(60) }

@Suite("Patterns in texts that grow")
struct StreamTests {
    /// Where a search that found nothing goes on when more text comes.
    private func resume(_ pattern: String, _ text: String, _ ending: Pattern.Ending = .open) async throws -> Int? {
        let finding = try await Pattern(pattern).search(Array(text.utf8), ending: ending, deadline: soon)
        if case .nothing(let place) = finding { return place }
        return nil
    }

    @Test("a search goes on where a match may have begun")
    func partial() async throws {
        #expect(try await resume("done", "abc") == 3)
        #expect(try await resume("done", "abcdo") == 3)
        #expect(try await resume("done", "abcdo", .prompt) == 3)
        #expect(try await resume("\\d+ done", "1 a 23") == 4)
    }

    @Test("a prompt is met as it is, an open text waits for what may follow")
    func prompts() async throws {
        #expect(try await resume("name\\? $", "your name? ", .prompt) == nil)
        #expect(try await resume("name\\? $", "your name? ", .open) == 5)
        #expect(try await resume("\\d+", "a 12", .prompt) == nil)
        #expect(try await resume("\\d+", "a 12", .open) == 2)
    }

    @Test("a partial match at one place hides no whole one behind it")
    func laterMatch() async throws {
        let text = "b" + String(repeating: "x", count: 40_000) + "done"
        let finding = try await Pattern("bx*q|done").search(Array(text.utf8), ending: .prompt, deadline: soon)
        #expect(finding == .match([40_001..<40_005]))
    }

    @Test("a place is judged by what stands before it")
    func context() async throws {
        let pattern = try Pattern("(?<=ab)c|^d")
        let text = Array("abcd".utf8)
        #expect(pattern.contextStart(before: 9, in: Array("é2345678".utf8)) == 0)
        #expect(pattern.contextStart(before: 10, in: Array("é2345678".utf8)) == 2)
        #expect(try await pattern.search(text, from: 2, deadline: soon) == .match([2..<3]))
        #expect(try await pattern.search(text, from: 3, deadline: soon) == .nothing(resume: 4))
    }

    @Test("bytes become text however they are cut", arguments: 1...5)
    func decoding(_ piece: Int) {
        let bytes: [UInt8] = Array("aé€𝄞z".utf8) + [0xff, 0xc3, 0x28, 0xe2, 0x82, 0x61, 0xf0, 0x9d, 0x84]
        var stream = UTF8Stream()
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            text += stream.take(bytes[start..<min(start + piece, bytes.count)])
        }
        text += stream.finish()
        #expect(text == Array(String(decoding: bytes, as: UTF8.self).utf8))
    }
}

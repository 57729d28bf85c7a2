import HostSystem
import Patterns
import Synchronization

/// A guest's output, for waits on patterns: each match consumes the text up to its end, so that the next one is found after it.
final class Transcript: Sendable {
    private struct State {
        /// The text not yet consumed: valid UTF-8.
        var text: [UInt8] = []
        /// The offset of `text` in the whole output.
        var start = 0
        /// How many bytes before it were dropped since the last match, while no wait was active.
        var dropped = 0
        var stream = UTF8Stream()
        var waiting = 0
        var hasEnded = false
        var change = Completion<Void>()

        var end: Int { start + text.count }

        /// Drops the text before an offset in the whole output.
        mutating func drop(before place: Int) {
            text.removeFirst(place - start)
            start = place
        }
    }

    /// How many bytes are kept while no wait is active.
    private static let idleLimit = 1 << 20
    /// The same during a wait; reached only when the search cannot keep up.
    private static let limit = 64 << 20

    private let state = Mutex(State())

    /// Appends output, without carriage returns: terminals and Windows put one before each line feed.
    func append(_ bytes: ArraySlice<UInt8>) {
        change { state in
            state.text += state.stream.take(bytes.lazy.filter { $0 != 13 })
            let limit = state.waiting == 0 ? Self.idleLimit : Self.limit
            // Trimmed at twice the limit, so that many small appends do not move the text each time.
            guard state.text.count > 2 * limit else { return }
            let surplus = characterStart(before: state.text.count - limit, in: state.text)
            state.dropped += surplus
            state.drop(before: state.start + surplus)
        }
    }

    func end() {
        change { state in
            state.text += state.stream.finish()
            state.hasEnded = true
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let change = state.withLock { state in
            body(&state)
            defer { state.change = Completion() }
            return state.change
        }
        change.fulfil()
    }

    /// The text not yet matched.
    var rest: String { state.withLock { String(decoding: $0.text, as: UTF8.self) } }

    var dropped: Int { state.withLock { $0.dropped } }

    /// Waits for the pattern and consumes the text up to its end. Nil when the output ends without a match. Throws
    /// `DeadlineExceeded`, a `PatternFailure` when the search itself takes too long, and `CancellationError`.
    func expect(_ pattern: Pattern, deadline: ContinuousClock.Instant) async throws -> PatternMatch? {
        state.withLock { $0.waiting += 1 }
        defer { state.withLock { $0.waiting -= 1 } }
        // The offset in the whole output from which the search continues.
        var place = 0
        while true {
            let piece = state.withLock { Piece($0, from: place, for: pattern) }
            let finding = try await pattern.search(
                piece.text, from: piece.place, ending: piece.isLast ? .final : .prompt, deadline: deadline)
            switch finding {
            case .match(let ranges):
                if let match = take(ranges, of: piece) { return match }
            // Another wait consumed it meanwhile.
            case .nothing(let resume):
                place = piece.start + resume
                if piece.isLast { return nil }
                _ = try await withDeadline(deadline) { try await piece.change.wait() }
            }
        }
    }

    /// The text to search: a copy, so that output can be appended meanwhile.
    private struct Piece {
        let text: [UInt8]
        /// Its offset in the whole output.
        let start: Int
        /// Where in it the search begins.
        let place: Int
        let isLast: Bool
        let change: Completion<Void>

        init(_ state: State, from wanted: Int, for pattern: Pattern) {
            let from = max(wanted, state.start) - state.start
            let first = pattern.contextStart(before: from, in: state.text)
            text = Array(state.text[first...])
            start = state.start + first
            place = from - first
            isLast = state.hasEnded
            change = state.change
        }
    }

    private func take(_ ranges: [Range<Int>?], of piece: Piece) -> PatternMatch? {
        guard let whole = ranges.first ?? nil else { return nil }
        return state.withLock { state in
            let found = piece.start + whole.lowerBound
            guard found >= state.start else { return nil }
            let before = state.text[..<(found - state.start)]
            let match = PatternMatch(
                before: String(decoding: before, as: UTF8.self),
                text: String(decoding: piece.text[whole], as: UTF8.self),
                captures: ranges.dropFirst().map { $0.map { String(decoding: piece.text[$0], as: UTF8.self) } })
            state.drop(before: piece.start + whole.upperBound)
            state.dropped = 0
            return match
        }
    }
}

/// A match of a pattern.
public struct PatternMatch: Sendable, Hashable {
    /// The text before the match.
    public var before: String
    /// The matched text.
    public var text: String
    /// The groups' texts, in order; nil for a group that did not match.
    public var captures: [String?]
}

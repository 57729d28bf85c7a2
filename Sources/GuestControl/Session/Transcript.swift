import HostSystem
import Patterns
import Synchronization

/// What a guest says, for waiting on patterns in it: each match takes all up to its end away, so that the next one is met
/// behind it.
final class Transcript: Sendable {
    private struct State {
        /// What nobody has taken away: valid UTF-8.
        var text: [UInt8] = []
        /// How many bytes were before it.
        var start = 0
        /// How many of those were dropped, as nobody waited, since the last match.
        var dropped = 0
        var stream = UTF8Stream()
        var waiting = 0
        var hasEnded = false
        /// Fulfilled at the next change.
        var change = Completion<Void>()

        var end: Int { start + text.count }

        /// Takes away what comes before a place of the whole.
        mutating func drop(before place: Int) {
            text.removeFirst(place - start)
            start = place
        }
    }

    /// Of what nobody waits for the last so many bytes are kept.
    private static let idleLimit = 1 << 20
    /// The same while somebody waits: only a search that cannot keep up leaves so much.
    private static let limit = 64 << 20

    private let state = Mutex(State())

    /// Takes the next bytes. Carriage returns are left out: terminals and Windows put one before each line feed.
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

    /// Nothing more will come.
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

    /// What was said and not met yet, as text.
    var rest: String { state.withLock { String(decoding: $0.text, as: UTF8.self) } }

    /// How many bytes of it, its first, are not kept any more.
    var dropped: Int { state.withLock { $0.dropped } }

    /// Waits for the pattern and takes it, and all before it. Nil when the transcript ends without it. Throws
    /// `DeadlineExceeded`, a `PatternFailure` when it is the search that takes too long, and `CancellationError`.
    func expect(_ pattern: Pattern, deadline: ContinuousClock.Instant) async throws -> PatternMatch? {
        state.withLock { $0.waiting += 1 }
        defer { state.withLock { $0.waiting -= 1 } }
        // Where the search goes on, counted from the whole's beginning.
        var place = 0
        while true {
            let piece = state.withLock { Piece($0, from: place, for: pattern) }
            let finding = try await pattern.search(
                piece.text, from: piece.place, ending: piece.isLast ? .final : .prompt, deadline: deadline)
            switch finding {
            case .match(let ranges):
                if let match = take(ranges, of: piece) { return match }
            // Another wait took it away meanwhile.
            case .nothing(let resume):
                place = piece.start + resume
                if piece.isLast { return nil }
                _ = try await withDeadline(deadline) { try await piece.change.wait() }
            }
        }
    }

    /// What a wait has to search: a copy, so that the guest can go on.
    private struct Piece {
        let text: [UInt8]
        /// Where it begins in the whole.
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

/// What a pattern met.
public struct PatternMatch: Sendable, Hashable {
    /// What was said before it.
    public var before: String
    /// What it met.
    public var text: String
    /// What its groups met, in order; nil for one that took no part.
    public var captures: [String?]
}

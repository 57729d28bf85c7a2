import Diagnostics
import HostSystem
import LabSpec
import Synchronization

/// What a guest says, for waiting on patterns in it: each match takes all up to its end away, so that the next one is met
/// behind it.
final class Transcript: Sendable {
    private struct State {
        var text: [UInt8] = []
        var hasEnded = false
        /// Fulfilled at the next change.
        var change = Completion<Bool>()
    }

    /// Of what nobody waited for the last so many bytes are kept.
    private static let limit = 1 << 20

    private let state = Mutex(State())

    /// Takes the next bytes. Carriage returns are left out: terminals and Windows put one before each line feed.
    func append(_ bytes: ArraySlice<UInt8>) {
        change { state in
            state.text += bytes.filter { $0 != 13 }
            if state.text.count > 2 * Self.limit { state.text.removeFirst(state.text.count - Self.limit) }
        }
    }

    /// Nothing more will come.
    func end() { change { $0.hasEnded = true } }

    private func change(_ body: (inout State) -> Void) {
        let change = state.withLock { state in
            body(&state)
            defer { state.change = Completion() }
            return state.change
        }
        change.fulfil(true)
    }

    /// What was said and not met yet, as text.
    var rest: String { state.withLock { String(decoding: $0.text, as: UTF8.self) } }

    /// Waits for the pattern and takes it, and all before it. Nil when the transcript ends without it. Throws
    /// `DeadlineExceeded`, and `CancellationError`.
    func expect(_ pattern: Pattern, deadline: ContinuousClock.Instant) async throws -> PatternMatch? {
        while true {
            let (match, change) = state.withLock { state -> (PatternMatch?, Completion<Bool>?) in
                let text = String(decoding: state.text, as: UTF8.self)
                if let (match, end) = pattern.match(in: text) {
                    state.text = Array(text.utf8[end...])
                    return (match, nil)
                }
                return (nil, state.hasEnded ? nil : state.change)
            }
            guard match == nil, let change else { return match }
            _ = try await withDeadline(deadline) { try await change.wait() }
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

extension Pattern {
    /// The first match in a text, and where it ends.
    fileprivate func match(in text: String) -> (PatternMatch, String.Index)? {
        guard let regex, let match = text.firstMatch(of: regex) else { return nil }
        let captures = match.output.dropFirst().map { $0.substring.map(String.init) }
        let met = PatternMatch(
            before: String(text[..<match.range.lowerBound]), text: String(text[match.range]), captures: captures)
        return (met, match.range.upperBound)
    }
}

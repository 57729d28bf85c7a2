import LabResults
import Synchronization

/// What became of the subtests of a script, or of a subtest: one that failed fails what it is a part of, also when that
/// went on.
final class SubtestTally: Sendable {
    private struct State {
        var ended = 0
        var failed: [TaskResult] = []
    }

    private let state = Mutex(State())

    func add(_ result: TaskResult) {
        state.withLock { state in
            state.ended += 1
            if !result.outcome.isSuccess { state.failed.append(result) }
        }
    }

    /// Why the whole is no success; nil when all subtests were.
    var failure: SubtestsFailed? {
        let (ended, failed) = state.withLock { ($0.ended, $0.failed) }
        guard let worst = failed.max(by: { $0.outcome.gravity < $1.outcome.gravity }) else { return nil }
        return SubtestsFailed(names: failed.map(\.id.task), ended: ended, outcome: worst.outcome)
    }
}

/// Subtests failed in a script that went on.
struct SubtestsFailed: Error, CustomStringConvertible {
    let names: [String]
    /// How many subtests there were.
    let ended: Int
    /// The gravest of their outcomes.
    let outcome: Outcome

    /// Names that are listed.
    private static let limit = 3

    var description: String {
        let more = names.count > Self.limit ? " and \(names.count - Self.limit) more" : ""
        return "\(names.count) of \(ended) subtest\(ended == 1 ? "" : "s") failed: "
            + names.prefix(Self.limit).joined(separator: ", ") + more
    }
}

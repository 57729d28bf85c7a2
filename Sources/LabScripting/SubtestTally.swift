import GuestControl
import LabResults
import Synchronization

/// What became of the subtests of a script, or of a subtest: one that failed fails what it is a part of, also when that went on.
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

    /// Why the whole is no success, with the gravest outcome; nil when all subtests were.
    var failure: Verdict? {
        let (ended, failed) = state.withLock { ($0.ended, $0.failed) }
        guard let worst = failed.max(by: { $0.outcome.gravity < $1.outcome.gravity }) else { return nil }
        let more = failed.count > Self.named ? " and \(failed.count - Self.named) more" : ""
        return Verdict(
            worst.outcome,
            "\(failed.count) of \(counted(ended, "subtest")) failed: "
                + failed.prefix(Self.named).map(\.id.task).joined(separator: ", ") + more)
    }

    /// How many subtests that failed are named.
    private static let named = 3
}

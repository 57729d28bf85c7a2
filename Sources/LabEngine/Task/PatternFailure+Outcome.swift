import LabResults
import Patterns

extension PatternFailure {
    /// What it makes of a task: one whose output could not be judged has no verdict.
    public var outcome: Outcome {
        switch self {
        case .tooSlow: .timeout
        case .tooLarge: .error
        case .stopped: .skipped
        }
    }
}

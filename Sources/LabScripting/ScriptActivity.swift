import LabResults
import Synchronization

/// The steps that a script is in the middle of.
final class ScriptActivity: Sendable {
    private let steps = Mutex<[StepID]>([])

    func begin(_ step: StepID) { steps.withLock { $0.append(step) } }

    func end(_ step: StepID) { steps.withLock { $0.removeAll { $0 == step } } }

    /// The step that began last, with its place, such as ``lab.yaml:9: run sleep 100``; nil when there is none.
    var latest: String? {
        steps.withLock(\.last).map { step in
            "\(step.place.map { "\($0): " } ?? "")`\(step.call) \(step.text)`\(step.guest.map { " on \($0)" } ?? "")"
        }
    }
}

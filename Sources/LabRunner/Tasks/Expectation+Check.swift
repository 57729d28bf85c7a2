import GuestControl
import LabSpec
import Patterns

extension Expectation {
    var looksAtOutput: Bool { !stdout.isEmpty || predicate != nil }

    /// Why the command did not meet the expectation, in one line; nil when it did. `output` is the file of its output, which is
    /// searched in full. Throws as `Pattern.withSearchThread`.
    func mismatch(
        exit status: Int32, on os: GuestOS, output path: String, deadline: ContinuousClock.Instant
    ) async throws -> String? {
        if !exit.contains(status) {
            let wanted = exit.map(String.init).joined(separator: " or ")
            return "\(os.end(status)), expected \(wanted)"
        }
        for pattern in stdout where try await !pattern.matches(somewhereInFile: path, deadline: deadline) {
            return "the output does not match /\(pattern.text)/"
        }
        return nil
    }
}

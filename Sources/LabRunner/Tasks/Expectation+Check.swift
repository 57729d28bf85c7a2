import GuestControl
import LabSpec
import Patterns

extension Expectation {
    var looksAtOutput: Bool { !stdout.isEmpty || predicate != nil }
    var looksAtErrors: Bool { !stderr.isEmpty || predicate != nil }

    /// Why the command did not meet the expectation, in one line; nil when it did. `output` and `errors` are the files of its
    /// output and of its standard error, which are searched in full. Throws as `Pattern.withSearchThread`.
    func mismatch(
        exit status: Int32, on os: GuestOS, output: String, errors: String, deadline: ContinuousClock.Instant
    ) async throws -> String? {
        if !exit.contains(status) {
            let wanted = exit.map(String.init).joined(separator: " or ")
            return "\(os.end(status)), expected \(wanted)"
        }
        for pattern in stdout where try await !pattern.matches(somewhereInFile: output, deadline: deadline) {
            return "the output does not match /\(pattern.text)/"
        }
        for pattern in stderr where try await !pattern.matches(somewhereInFile: errors, deadline: deadline) {
            return "standard error does not match /\(pattern.text)/"
        }
        return nil
    }
}

import HostSystem
import JSON
import QMP

/// The answer to a command that was sent, once it comes.
struct QMPAnswer: Sendable {
    let command: QMPCommand.Name
    let answer: Completion<Result<JSONValue, QMPError>>

    /// Waits for it.
    ///
    /// Throws `QMPError`, and `CancellationError` at once when the task is cancelled; the command may run all the same.
    @discardableResult
    func value(timeout: Duration = .seconds(10)) async throws -> JSONValue {
        do {
            return try await withDeadline(.now + timeout) { try await answer.wait() }.get()
        } catch is DeadlineExceeded {
            throw QMPError.silent(command: command)
        }
    }
}

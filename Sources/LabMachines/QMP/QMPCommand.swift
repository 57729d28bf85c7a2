import HostSystem
import JSON

/// A command of the QEMU Machine Protocol.
struct QMPCommand: Sendable, Hashable {
    var name: String
    var arguments: JSONValue?

    init(_ name: String, _ arguments: JSONValue? = nil) {
        self.name = name
        self.arguments = arguments
    }

    /// The command as it is sent.
    func message(id: Int64) -> JSONValue {
        ["execute": .string(name), "id": .integer(id), "arguments": arguments]
    }
}

/// The answer to a command that was sent, once it comes.
struct QMPAnswer: Sendable {
    let command: String
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
        } catch QMPError.refused(_, let kind, let description) {
            throw QMPError.refused(command: command, class: kind, description: description)
        }
    }
}

import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabSpec
import Patterns
import Quantities
import Synchronization

/// A command with scripted input, whose output is matched against patterns: a login, a menu, a debugger.
public final class Interaction: Sendable {
    private let guest: LiveGuest
    private let input = CommandInput()
    /// The length of the unfinished input line, in bytes.
    private let openLine = Mutex(0)
    private let transcript = Transcript()
    private let log = Log()

    private final class Log: Sendable {
        /// The limit for stored output.
        static let limit = OutputWriter.standardLimit
        private let state = Mutex<(bytes: [UInt8], isCut: Bool)>(([], false))

        func append(_ new: ArraySlice<UInt8>) {
            state.withLock { state in
                let room = Self.limit - state.bytes.count
                state.bytes += new.prefix(room)
                if new.count > room { state.isCut = true }
            }
        }

        /// Throws when the output exceeds the limit, because a truncated one would be misjudged.
        func all() throws(Diagnostic) -> [UInt8] {
            let (bytes, isCut) = state.withLock { $0 }
            guard isCut else { return bytes }
            throw Diagnostic(
                .guest, "the command printed more than \(ByteCount(UInt64(Self.limit)))",
                remedy: "have it write to a file of the guest, and collect that with `get`")
        }
    }
    private let command: Task<CommandResult, any Error>

    /// Starts a command on a guest. It ends on its own, at its timeout, or when this object is released.
    public init(_ command: GuestCommand, on guest: LiveGuest, timeout: Duration? = nil) {
        var command = command
        command.input = input
        self.guest = guest
        let keep: @Sendable (ArraySlice<UInt8>) -> Void = { [transcript, log] bytes in
            transcript.append(bytes)
            log.append(bytes)
        }
        self.command = Task { [command, transcript, input] in
            defer {
                transcript.end()
                input.close()
            }
            return try await guest.run(command, timeout: timeout, output: keep)
        }
    }

    deinit { command.cancel() }

    /// The longest line that a terminal accepts, in bytes.
    private static let longestLine = 4095

    /// Types bytes; no effect after the command has ended. Throws for a line that is too long for a terminal.
    public func send(_ keys: [UInt8]) throws(Diagnostic) {
        let isTooLong = openLine.withLock { open in
            let lines = keys.split(separator: 10, omittingEmptySubsequences: false).map(\.count)
            let isTooLong = open + (lines.first ?? 0) > Self.longestLine || lines.contains { $0 > Self.longestLine }
            if !isTooLong { open = (lines.count > 1 ? 0 : open) + (lines.last ?? 0) }
            return isTooLong
        }
        if isTooLong {
            throw Diagnostic(
                .specification, "a typed line can have at most \(Self.longestLine) bytes, the limit of a terminal",
                remedy: "write the text to a file of the guest, and have the command read that")
        }
        input.send(keys)
    }

    /// Ends the command's input, as Ctrl-D does on a terminal; no effect after the command has ended.
    public func endInput() {
        openLine.withLock { $0 = 0 }
        input.end()
    }

    /// Waits for the pattern in the output after the previous match. Throws `GuestTimeout` with the unmatched output, or the error
    /// that ended the command.
    public func expect(_ pattern: Pattern, timeout: Duration? = nil) async throws -> PatternMatch {
        let patience = timeout ?? guest.limits.timeouts.task
        do {
            if let match = try await transcript.expect(pattern, deadline: guest.limits.deadline(in: patience)) {
                return match
            }
        } catch is DeadlineExceeded {
            throw GuestTimeout(
                what: "the command did not print /\(pattern.text)/, only \(excerpt)",
                limit: patience * guest.limits.factor)
        }
        let result = try await command.value
        throw InteractionEnded(pattern: pattern.text, exit: result.exit, said: excerpt)
    }

    /// Waits for the end of the command. Throws as `LiveGuest.run`.
    public func finish() async throws -> CommandResult {
        try await withTaskCancellationHandler {
            try await command.value
        } onCancel: {
            command.cancel()
        }
    }

    /// The output so far. Throws when it exceeds 64 MiB.
    public var output: [UInt8] { get throws(Diagnostic) { try log.all() } }

    /// The end of the unmatched output.
    private var excerpt: String { String(transcript.rest.suffix(200)).debugDescription }
}

/// A command ended before the awaited output.
public struct InteractionEnded: Error, Sendable, Hashable, CustomStringConvertible {
    /// The pattern.
    public var pattern: String
    /// The command's exit status.
    public var exit: Int32
    /// Its output since the last match, quoted.
    public var said: String

    /// The error as a sentence.
    public var description: String {
        "the command ended (status \(exit)) and did not print /\(pattern)/, only \(said)"
    }
}

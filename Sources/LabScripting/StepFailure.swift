import GuestControl
import LuaRuntime

/// An error that ended a step, with what scripts read as its fields: `err.exit`, `err.output`.
struct StepFailure: LuaReadableError, Judged, CustomStringConvertible {
    let error: any Error
    /// The function that was called, such as `succeed`.
    let call: String
    let guest: String?
    let command: String?
    let exit: Int32?
    let output: [UInt8]

    /// The error as a step throws it. A script's own errors, wrong calls and cancellation need no more words.
    static func of(_ error: any Error, call: String, guest: String?, notes: StepNotes) -> any Error {
        if error is LuaError || error is LuaCallError || error is CancellationError { return error }
        return StepFailure(
            error: error, call: call, guest: guest, command: notes.command, exit: notes.exit, output: notes.output)
    }

    var description: String { LuaError.words(for: error) }

    var verdict: Verdict { Verdict(of: error) }

    var luaFields: [LuaString: LuaValue] {
        var table = LuaTable(fields: ["call": .text(call), "outcome": .text(verdict.outcome.rawValue)])
        table["guest"] = guest.map { .text($0) } ?? .nil
        guard let command else { return table.fields }
        table["command"] = .text(command)
        table["exit"] = exit.map { .integer(Int64($0)) } ?? .nil
        table["output"] = .string(LuaString(output))
        return table.fields
    }
}

/// A command that ended with a status that its caller does not want.
struct CommandFailed: Judged, CustomStringConvertible {
    /// What happened, in one line: the guest, the command, its exit status and what was wanted.
    let headline: String
    var isTimeout = false
    let output: [UInt8]
    /// The last lines of the guest's kernel console.
    var console: [String] = []

    /// Lines of output that are shown with the headline.
    private static let lines = 10

    var description: String {
        let text = String(decoding: output.suffix(4096), as: UTF8.self)
        let lines = text.split(separator: "\n").suffix(Self.lines).map { "\n    | \($0)" }.joined()
        return headline + lines
    }
    /// What it printed is shown on its own.
    var verdict: Verdict { Verdict(isTimeout ? .timeout : .failed, headline, consoleTail: console) }
}

extension LuaError: Judged {
    /// That of the error beneath it, in the words and at the place that the script gave it; else the script's own failure.
    package var verdict: Verdict {
        guard let underlying else { return Verdict(.failed, description) }
        let verdict = Verdict(of: underlying)
        let said = message == LuaError.words(for: underlying) ? verdict.message : message
        return Verdict(
            verdict.outcome, (location.map { "\($0): " } ?? "") + said, consoleTail: verdict.consoleTail,
            guest: verdict.guest)
    }
}

extension LuaCallError: Judged {
    package var verdict: Verdict { Verdict(.failed, description) }
}

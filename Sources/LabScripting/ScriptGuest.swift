import Diagnostics
import GuestConsole
import HostSystem
import GuestControl
import LabResults
import LabSpec
import LuaRuntime
import Quantities
import Synchronization

/// A guest as scripts hold it.
final class ScriptGuest: Sendable {
    let live: LiveGuest
    let world: ScriptWorld
    /// The command that `send` and `expect` talk to.
    let interaction = Mutex<Interaction?>(nil)

    init(_ live: LiveGuest, _ world: ScriptWorld) {
        self.live = live
        self.world = world
    }

    /// The command that `interact` began; throws when there is none.
    func talk(_ call: LuaCall) throws -> Interaction {
        guard let talk = interaction.withLock({ $0 }) else {
            throw LuaCallError("\(live.name) has no interactive command: start one with \(live.name):interact(command)")
        }
        return talk
    }
}

/// What a command came to, for scripts.
struct CommandAnswer {
    let result: CommandResult
    let output: [UInt8]
    /// Its standard error, when that was kept apart.
    var errors: [UInt8]?

    var table: LuaValue {
        var table = LuaTable(fields: [
            "exit": .integer(Int64(result.exit)), "ok": .boolean(result.exit == 0),
            "output": .string(LuaString(output)), "duration": .number(result.duration / .seconds(1)),
        ])
        if let errors { table["stderr"] = .string(LuaString(errors)) }
        return .table(table)
    }

    /// The output without the line ends behind it, as `$(…)` in a shell.
    var trimmed: LuaValue {
        var bytes = output[...]
        while let last = bytes.last, last == 10 || last == 13 { bytes = bytes.dropLast() }
        return .string(LuaString(Array(bytes)))
    }
}

extension ScriptGuest {
    /// Runs a command as one step. `judge` throws when its status is not what the caller wants.
    func run(
        _ call: LuaCall, _ command: String, _ options: CommandOptions,
        judge: (CommandAnswer) throws -> Void = { _ in }
    ) async throws -> CommandAnswer {
        try await ScriptScope.step(call, on: live, command) { notes in
            try await perform(command, options, notes, judge: judge)
        }
    }

    /// The same within a step.
    func perform(
        _ command: String, _ options: CommandOptions, _ notes: StepNotes,
        judge: (CommandAnswer) throws -> Void = { _ in }
    ) async throws -> CommandAnswer {
        notes.begins(command)
        let environment = world.environment + options.environment
        let errors = StepNotes()
        let streams = CommandStreams(
            on: live.planned.os, input: options.input, access: world.access, errorLimit: StepNotes.limit,
            errors: options.errors == .separate ? { @Sendable in errors.append($0) } : nil)
        let result = try await live.run(
            GuestCommand(
                command, shell: live.planned.shell(options.shell), environment: environment,
                workingDirectory: options.folder, user: options.user), with: streams, timeout: options.timeout
        ) { [world, live] in
            notes.append($0)
            if let line = notes.lastLine { world.recorder.show(line, of: live.name) }
        }
        notes.ended(result)
        if notes.isCut || errors.isCut {
            throw Diagnostic(
                .guest, "the command printed more than \(ByteCount(UInt64(StepNotes.limit)))",
                remedy: "write it to a file of the guest, and collect that with `get`")
        }
        let answer = CommandAnswer(
            result: result, output: notes.output, errors: options.errors == .separate ? errors.output : nil)
        try judge(answer)
        return answer
    }

    func failure(_ command: String, _ answer: CommandAnswer, wanted: String) -> CommandFailed {
        CommandFailed(
            headline: "\(live.name): `\(Self.first(command))` \(live.planned.os.ending(answer.result.exit)), \(wanted)",
            output: answer.output, console: Array(live.consoleLines.suffix(5)))
    }

    static func first(_ command: String) -> Substring { command.split(separator: "\n").first ?? command[...] }
}

struct CommandOptions {
    var timeout: Duration?
    var environment: [(name: String, value: String)]
    var folder: String?
    var shell: String?
    var user: String?
    var input: CommandSource?
    var errors: ErrorStream

    init(_ options: inout Options, in world: ScriptWorld) throws {
        timeout = try options.duration("timeout")
        environment = try options.environment("env")
        folder = try options.string("cwd")
        shell = try options.string("shell")
        user = try options.string("user")
        input = try options.source("stdin") { try world.readablePath($0, as: "the input") }
        errors = try options.choice("stderr", ErrorStream.self) ?? .merged
    }

    /// Those of every command.
    static let documentation = """
        `timeout`; `env`, a table of variables; `cwd`, a folder in the guest; `shell`, as in a lab file (`sh -e`, which \
        stops at the first failing line); `user`, a user of a Linux guest that runs it.
        """

    /// Those of a command that nobody types to.
    static let streamsDocumentation = """
        \(documentation) Also `stdin`, its input, a string or `{file = "path"}` for a file on the host; `stderr`, with \
        `"separate"` to have standard error apart too.
        """
}

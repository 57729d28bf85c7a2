import GuestConsole
import HostSystem
import GuestControl
import LabSpec
import LuaRuntime
import Patterns

extension LuaClass {
    static let guest = LuaClass(
        "guest", "A running guest: a virtual machine with a shell on its serial console.",
        methods: GuestMethods.commands + GuestMethods.console + GuestMethods.files + GuestMethods.machine
            + GuestMethods.snapshots,
        fields: [
            field("name", "Its name, which is also its host name.") { $0.name },
            field("os", "`linux` or `windows`.") { $0.planned.os.rawValue },
            field("group", "The name of its group.") { $0.planned.group.name },
            field("image", "The name of its image.") { $0.planned.group.image },
            field("console", "The last 200 lines of its kernel's console.") { $0.consoleLines.joined(separator: "\n") },
        ],
        describe: { ($0.object as? ScriptGuest).map { "guest \($0.live.name)" } ?? "guest" })

    private static func field(
        _ name: String, _ documentation: String, _ text: @escaping @Sendable (LiveGuest) -> String
    ) -> LuaField {
        LuaField(name, "string", documentation, of: ScriptGuest.self) { .text(text($0.live)) }
    }
}

enum GuestMethods {
    static let command = LuaParameter("command", "string", "One or more lines for the guest's shell.")
    static let options = LuaParameter("options", "table?", CommandOptions.streamsDocumentation)

    // MARK: Commands

    static let commands = [
        LuaNative(
            "run", "Runs a command and returns its result, whatever the exit status.",
            parameters: [command, options],
            results: [
                LuaParameter(
                    "result", "{exit: integer, ok: boolean, output: string, stderr: string?, duration: number}",
                    "The exit status, whether it is 0, everything the command printed, what of that went to standard error "
                        + "(with `stderr = \"separate\"`), and the seconds it took.")
            ],
            waiting: { call in
                let (guest, text, options) = try command(of: call)
                return [try await guest.run(call, text, options).table]
            }),
        LuaNative(
            "succeed", "Runs a command that must succeed: raises an error unless its exit status is 0.",
            parameters: [command, options],
            results: [LuaParameter("output", "string", "What it printed, without trailing line ends.")],
            waiting: { call in
                let (guest, text, options) = try command(of: call)
                let answer = try await guest.run(call, text, options) { answer in
                    if answer.result.exit != 0 { throw guest.failure(text, answer, wanted: "expected 0") }
                }
                return [answer.trimmed]
            }),
        LuaNative(
            "fail", "Runs a command that must fail: raises an error if its exit status is 0.",
            parameters: [command, options],
            results: [
                LuaParameter("output", "string", "What it printed, without trailing line ends."),
                LuaParameter("exit", "integer", "Its exit status."),
            ],
            waiting: { call in
                let (guest, text, options) = try command(of: call)
                let answer = try await guest.run(call, text, options) { answer in
                    if answer.result.exit == 0 { throw guest.failure(text, answer, wanted: "expected another") }
                }
                return [answer.trimmed, .integer(Int64(answer.result.exit))]
            }),
        LuaNative(
            "wait_until", "Runs a command repeatedly until its exit status is 0.",
            parameters: [
                command,
                LuaParameter(
                    "options", "table?",
                    "Those of `run`, where `timeout` covers all attempts; `interval`, the pause between two attempts "
                        + "(200 ms)."),
            ],
            results: [LuaParameter("output", "string", "What the last attempt printed, without trailing line ends.")],
            waiting: { call in try await waitUntil(call) }),
    ]

    /// The receiver, a command and its options.
    private static func command(of call: LuaCall) throws -> (ScriptGuest, String, CommandOptions) {
        let guest = try call.receiver(as: ScriptGuest.self)
        return (guest, try call.string(1), try call.options(2) { try CommandOptions(&$0, in: guest.world) })
    }

    private static func waitUntil(_ call: LuaCall) async throws -> [LuaValue] {
        let guest = try call.receiver(as: ScriptGuest.self)
        let text = try call.string(1)
        var (interval, command) = try call.options(2) {
            (try $0.duration("interval") ?? .milliseconds(200), try CommandOptions(&$0, in: guest.world))
        }
        let limits = guest.live.limits
        let patience = command.timeout ?? limits.timeouts.task
        let deadline = limits.deadline(in: patience)
        let answer = try await ScriptScope.step(call, on: guest.live, text) { notes in
            notes.begins(text)
            var attempts = 0
            /// The last attempt that came to its end.
            var ended: CommandAnswer?
            /// What came out of the last attempt, for the step and its failure.
            func end(_ how: String, _ output: [UInt8]) -> CommandFailed {
                notes.append(output[...])
                let limit = GuestTimeout(what: "did not succeed", limit: patience * limits.factor)
                let last = attempts == 1 ? "its only attempt" : "the last of \(attempts) attempts"
                return CommandFailed(
                    headline: "\(guest.live.name): `\(ScriptGuest.first(text))` \(limit): \(last) \(how)",
                    isTimeout: true,
                    output: output)
            }
            while true {
                // An attempt may use up what is left; the limits multiply it again.
                command.timeout = max(.milliseconds(1), (deadline - HostClock.now) / limits.factor)
                let attempt = StepNotes()
                attempts += 1
                let answer: CommandAnswer
                do {
                    answer = try await guest.perform(text, command, attempt)
                } catch is GuestTimeout {
                    guard let ended, attempt.output.isEmpty else { throw end("did not end", attempt.output) }
                    let before = guest.live.planned.os.ending(ended.result.exit)
                    throw end("did not end, the one before \(before)", ended.output)
                }
                notes.ended(answer.result)
                ended = answer
                if answer.result.exit == 0 {
                    notes.append(answer.output[...])
                    return answer
                }
                guard HostClock.now + interval < deadline else {
                    throw end(guest.live.planned.os.ending(answer.result.exit), answer.output)
                }
                try await HostClock.sleep(for: interval)
            }
        }
        return [answer.trimmed]
    }

    // MARK: The console

    private static let pattern = LuaParameter(
        "pattern", "string", "A regular expression, as in `expect:` of a lab file; `^` and `$` match at line ends.")
    private static let patience = LuaParameter("options", "table?", "`timeout`.")
    private static let match = [
        LuaParameter("text", "string", "The text that matched."),
        LuaParameter("...", "string?", "The pattern's capture groups."),
    ]

    static let console = [
        LuaNative(
            "wait_for_console",
            "Waits until the kernel's console matches a pattern. The search covers the console since the guest came up, or since the "
                + "last match of this function.",
            parameters: [pattern, patience], results: match,
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let (pattern, timeout) = try expectation(of: call)
                return try await ScriptScope.step(call, on: guest.live, pattern.text) { _ in
                    do {
                        return try await guest.live.waitForConsole(pattern, timeout: timeout).values
                    } catch let timeout as GuestTimeout {
                        throw CommandFailed(
                            headline: timeout.description, isTimeout: true, output: [],
                            console: Array(guest.live.consoleLines.suffix(10)))
                    }
                }
            }),
        LuaNative(
            "interact",
            "Starts an interactive command whose input the script types. With a function, calls it and then waits until the command "
                + "ends.",
            parameters: [
                command,
                LuaParameter(
                    "talk", "fun(guest: guest)?",
                    "Drives the command: waits with `guest:expect`, types with `guest:send`, ends the input with `guest:eof`."
                ),
                LuaParameter("options", "table?", CommandOptions.documentation),
            ],
            results: [
                LuaParameter(
                    "result", "{exit: integer, ok: boolean, output: string, duration: number}?",
                    "With a function, the same as from `run`.")
            ],
            waiting: { call in try await interact(call) }),
        LuaNative(
            "send", "Types input for the command that `interact` started.",
            parameters: [
                LuaParameter(
                    "text", "string",
                    "The input. End lines with `\\n`; a program that reads lines sees a line only then. A line has at most 4095 "
                        + "bytes.")
            ],
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let talk = try guest.talk(call)
                let keys = try call.bytes(1)
                try await ScriptScope.step(call, on: guest.live, String(decoding: keys, as: UTF8.self)) { _ in
                    try talk.send(keys)
                }
                return []
            }),
        LuaNative(
            "eof",
            "Ends the input of the command that `interact` started, as at a terminal: types Ctrl-D, on Windows Ctrl-Z and Enter. There "
                + "only programs that read text through their C library notice it.",
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let talk = try guest.talk(call)
                try await ScriptScope.step(call, on: guest.live, "") { _ in talk.endInput() }
                return []
            }),
        LuaNative(
            "expect",
            "Waits until the output of the command that `interact` started matches a pattern, after the previous match. Output arrives "
                + "in pieces: `(\\w+)` may match half a word, `(\\w+)\\s` waits for the whole.",
            parameters: [pattern, patience], results: match,
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let talk = try guest.talk(call)
                let (pattern, timeout) = try expectation(of: call)
                return try await ScriptScope.step(call, on: guest.live, pattern.text) { notes in
                    let match = try await talk.expect(pattern, timeout: timeout)
                    notes.append(Array((match.before + match.text).utf8)[...])
                    return match.values
                }
            }),
    ]

    private static func expectation(of call: LuaCall) throws -> (Pattern, Duration?) {
        (try call.pattern(1), try timeout(call, 2))
    }

    private static func interact(_ call: LuaCall) async throws -> [LuaValue] {
        let guest = try call.receiver(as: ScriptGuest.self)
        let text = try call.string(1)
        var talk: LuaFunction?
        var place = 2
        if case .function(let function) = call[2] { (talk, place) = (function, 3) }
        if place == 2, call.isMissing(2), !call.isMissing(3) { place = 3 }
        let command = try call.options(place) { try CommandOptions(&$0, in: guest.world) }
        guard command.input == nil, command.errors == .merged else {
            throw call.badArgument(place, "an interactive command has no `stdin` and no `stderr`: its input is typed")
        }
        let interaction = Interaction(
            GuestCommand(
                text, shell: guest.live.planned.shell(command.shell),
                environment: guest.world.environment + command.environment, workingDirectory: command.folder,
                user: command.user),
            on: guest.live, timeout: command.timeout)
        guest.interaction.withLock { $0 = interaction }
        guard let talk else {
            try await ScriptScope.step(call, on: guest.live, text) { _ in }
            return []
        }
        defer { guest.interaction.withLock { $0 = nil } }
        return try await ScriptScope.step(call, on: guest.live, text) { notes in
            notes.begins(text)
            _ = try await talk.call([.object(LuaObject(guest, .guest))])
            let result = try await interaction.finish()
            notes.ended(result)
            return [CommandAnswer(result: result, output: try interaction.output).table]
        }
    }
}

extension PatternMatch {
    /// The matched text, then the capture groups.
    var values: [LuaValue] { [.text(text)] + captures.map { $0.map { .text($0) } ?? .nil } }
}

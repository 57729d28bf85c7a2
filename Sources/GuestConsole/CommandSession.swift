import HostSystem
import Diagnostics
import Logging
import Synchronization

/// A guest's shell on the far end of a byte channel: runs commands one at a time, with exact output and status.
///
/// One task reads the channel from the session's making to its end, so a guest never blocks on us and nothing is lost;
/// one writes to it. `close()`, or letting go of the session, ends both and the channel.
public final class CommandSession: Sendable {
    private let core: SessionCore
    private let dialect: Dialect
    private let tasks: [Task<Void, Never>]
    private let log: Logger
    /// What `open` has set in the shell of tasks.
    private let variables = Mutex<[(name: String, value: String)]>([])

    /// A session on `channel`; nothing is typed before `open`.
    ///
    /// `transcript` receives every byte of the guest's output as it arrives. The session logs to `log`.
    public init(
        channel: any ByteChannel, dialect: Dialect, log: Logger = Logger(label: "vmlab.console"),
        transcript: (@Sendable (ArraySlice<UInt8>) -> Void)? = nil
    ) {
        self.log = log
        let (typing, continuation) = AsyncStream.makeStream(of: SessionCore.Typing.self)
        let core = SessionCore(dialect: dialect, channel: channel, typing: continuation)
        self.core = core
        self.dialect = dialect
        tasks = [
            Task { await core.readAll(transcript: transcript) },
            Task { await core.writeAll(typing) },
        ]
    }

    deinit { close() }

    /// Ends the session and its channel. What waits on it throws `channelClosed`. Safe to repeat.
    public func close() {
        core.close(.channelClosed)
        for task in tasks { task.cancel() }
    }

    /// Waits until the guest's shell is ready and sets it up. Again after a reboot.
    ///
    /// With `atShell` the shell is known to wait for a command already (a guest restored from a snapshot), and no
    /// greeting is waited for: one that comes is another shell's, and throws `greetedAgain`. With `prewarmed`, a command waits
    /// in it. `variables` are set in the session's shell of tasks, where the dialect knows how. A guest that is silent
    /// for `patience` has stalled: it is nudged, or, if its output says why, given up with `bootTrouble`. Else throws `deadline`,
    /// `cancelled` or `channelClosed`.
    public func open(
        atShell: Bool = false, prewarmed: Bool = false, setting variables: [(name: String, value: String)] = [],
        patience: Duration = .seconds(3), deadline: ContinuousClock.Instant
    ) async throws(ConsoleError) {
        let waiting = prewarmed ? dialect.prewarmed : nil
        self.variables.withLock { $0 = variables }
        while true {
            if !atShell {
                _ = try await core.wait(deadline: deadline, patience: patience) { $0.awaitReady() }
                log.debug("greeting received", metadata: ["dialect": "\(dialect.name)"])
            }
            let nonce = Nonce()
            do {
                let setting = variables.isEmpty ? [] : dialect.setting?(variables) ?? []
                let opening = waiting?.opening(nonce) ?? dialect.setup + setting + dialect.probe(nonce)
                _ = try await core.wait(typing: opening, deadline: deadline) { $0.awaitProbe(nonce) }
                core.update {
                    $0.finishSetup()
                    if waiting != nil { $0.setPrewarmed(variables) }
                }
                log.debug("session opened", metadata: ["atShell": "\(atShell)", "prewarmed": "\(prewarmed)"])
                return
            } catch .greetedAgain where !atShell {
                log.debug("the guest greeted again while its shell was set up")
                // The shell was replaced while it was being set up.
            }
        }
    }

    /// How far the guest came on the way to its shell, as a clause about it; nil when it asked nothing that was answered.
    public var progress: String? { core.progress }

    /// Whether a command runs in the guest, or may still run there as nobody has seen its end.
    public var isBusy: Bool { core.isBusy }

    /// Whether a command waits in the guest's shell for the next `run`.
    public var isPrewarmed: Bool { core.prewarmed != nil }

    /// Has a command wait in the guest's shell for the next `run`, where the dialect knows how. For a guest that is about to
    /// be saved: those that go on from there are opened with `prewarmed`. Throws as `run`.
    public func prewarm(deadline: ContinuousClock.Instant) async throws(ConsoleError) {
        guard let prewarmed = dialect.prewarmed, !isPrewarmed else { return }
        let result = try await perform(prewarmed.exchanges(), deadline: deadline, silence: nil) { _ in }
        guard result.exit == 0 else {
            throw .protocolViolation("the guest could not start a waiting command (status \(result.exit))")
        }
        core.update { $0.setPrewarmed() }
    }

    /// Says that the guest is about to reboot: the next `open` waits for a greeting that comes after this.
    public func expectReboot() {
        log.debug("a reboot is expected")
        core.update { $0.forgetGreeting() }
    }

    /// Says that the guest has had its machine reset: what runs throws `greetedAgain`, and the next `open` waits for a greeting
    /// that comes after this.
    public func machineWasReset() {
        log.debug("the machine was reset")
        core.machineWasReset()
    }

    /// Runs a command in the guest's shell and returns when it has ended.
    ///
    /// `output` gets exactly the bytes that the command prints, as they come, and none after this has returned. It must
    /// be quick and must not use the session. `silence` limits how long the guest may be silent.
    ///
    /// An exit status other than 0 is a result. Throws when there is none; after `deadline`, `silence` and `cancelled`
    /// the command may still run, and the session is `busy` until it has ended or `interrupt` has returned true.
    public func run(
        _ command: GuestCommand, deadline: ContinuousClock.Instant, silence: Duration? = nil,
        output: @escaping @Sendable (ArraySlice<UInt8>) -> Void = { _ in }
    ) async throws(ConsoleError) -> CommandResult {
        try await logged("command", command) { () async throws(ConsoleError) in
            try await runLogged(command, deadline, silence, output)
        }
    }

    private func runLogged(
        _ command: GuestCommand, _ deadline: ContinuousClock.Instant, _ silence: Duration?,
        _ output: @escaping @Sendable (ArraySlice<UInt8>) -> Void
    ) async throws(ConsoleError) -> CommandResult {
        let input = command.input
        input?.attach { [weak core] in core?.typeInput() }
        if let variables = core.prewarmed, let prewarmed = dialect.prewarmed {
            let exchanges = try prewarmed.command(command, variables)
            return try await perform(exchanges, input: input, deadline: deadline, silence: silence, output: output)
        }
        while true {
            do {
                let exchanges = try dialect.exchanges(command)
                return try await perform(exchanges, input: input, deadline: deadline, silence: silence, output: output)
            } catch .renewed {
                try await open(setting: variables.withLock { $0 }, deadline: deadline)
            }
        }
    }

    /// As `run`, in the guest's control shell, which is a POSIX shell on every guest that has one.
    ///
    /// It is the one of `run` where the guest is Linux. A copy of files goes as Base64 in both directions, and is left out of
    /// the transcript. Throws `unsupported` where there is none.
    public func control(
        _ command: GuestCommand, isCopy: Bool = false, deadline: ContinuousClock.Instant, silence: Duration? = nil,
        output: @escaping @Sendable (ArraySlice<UInt8>) -> Void = { _ in }
    ) async throws(ConsoleError) -> CommandResult {
        guard let exchanges = dialect.controlShell else {
            throw .unsupported("a guest that speaks `\(dialect.name)` has no control shell")
        }
        if isCopy { core.setCopying(true) }
        defer { if isCopy { core.setCopying(false) } }
        return try await logged("control command", command) { () async throws(ConsoleError) in
            try await perform(exchanges(command), deadline: deadline, silence: silence, output: output)
        }
    }

    /// Runs `body`, which runs the command, and logs how it goes. What the command is, which may hold secrets, only at `trace`.
    private func logged(
        _ what: String, _ command: GuestCommand, _ body: () async throws(ConsoleError) -> CommandResult
    ) async throws(ConsoleError) -> CommandResult {
        log.debug("\(what) begins", metadata: ["length": "\(command.script.utf8.count)"])
        log.trace("\(what): \(command.script)")
        let begun = ContinuousClock.now
        do throws(ConsoleError) {
            let result = try await body()
            log.debug(
                "\(what) ended",
                metadata: [
                    "exit": "\(result.exit)", "bytes": "\(result.bytes)", "ms": "\(begun.millisecondsAgo)",
                ])
            return result
        } catch {
            log.debug("\(what) has no end", metadata: ["why": "\(error)", "ms": "\(begun.millisecondsAgo)"])
            throw error
        }
    }

    private func perform(
        _ exchanges: [Exchange], input: CommandInput? = nil, deadline: ContinuousClock.Instant, silence: Duration?,
        output: @escaping @Sendable (ArraySlice<UInt8>) -> Void
    ) async throws(ConsoleError) -> CommandResult {
        // Somebody had the shell replaced, and did not wait for that.
        if core.isRenewing { try await open(setting: variables.withLock { $0 }, deadline: deadline) }
        let start = HostClock.now
        var bytes = 0
        var status: Int32 = 0
        for exchange in exchanges {
            if status != 0, status == dialect.renewed { throw .renewed }
            if status != 0 {
                throw .protocolViolation("the guest could not receive the command (status \(status))")
            }
            let answer = try await core.wait(typing: exchange.text, deadline: deadline, silence: silence) {
                $0.awaitEnd(
                    of: exchange, input: exchange.isOutput ? input : nil, output: exchange.isOutput ? output : nil)
            }
            status = answer.status
            if exchange.isOutput { bytes += answer.bytes }
        }
        return CommandResult(exit: status, bytes: bytes, duration: start.duration(to: HostClock.now))
    }

    /// Stops a command that was given up, and kills what it has left in the background. True when the shell is free for the
    /// next one within `grace`.
    ///
    /// Types Ctrl-C, or whatever the dialect has, in rising order of force, the next one after `step`. False leaves the session
    /// busy: what does not even end then can only be ended with its guest.
    public func interrupt(grace: Duration, step: Duration = .seconds(3)) async -> Bool {
        let start = HostClock.now
        defer { log.debug("interrupting took", metadata: ["ms": "\(start.millisecondsAgo)"]) }
        log.debug("the command is interrupted", metadata: ["grace": "\(grace)"])
        do {
            // Typed any sooner it would reach the resident shell, which ignores it.
            _ = try await core.wait(deadline: start + grace) { $0.awaitAbandoned(begin: true) }
            let share = min(step, grace / max(dialect.interrupts.count, 1))
            for (index, keys) in dialect.interrupts.enumerated() {
                do {
                    // Not sooner: a second Ctrl-C that meets the shell as it prints the end marker would take that away.
                    let patience = index == dialect.interrupts.count - 1 ? start + grace : HostClock.now + share
                    _ = try await core.wait(typing: keys, deadline: patience) { $0.awaitAbandoned(begin: false) }
                    if let cleanUp = dialect.cleanUp {
                        let rest = start + grace
                        _ = try await perform([cleanUp()], deadline: rest, silence: nil) { _ in }
                    }
                    return true
                } catch .deadline {}
            }
        } catch {}
        return false
    }
}

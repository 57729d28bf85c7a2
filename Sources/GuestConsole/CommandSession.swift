import HostSystem
import Diagnostics
import Logging
import Synchronization

/// A guest's shell at the other end of a byte channel: runs commands one at a time, with exact output and status.
///
/// One task reads the channel for the session's whole life, so that a guest never blocks and nothing is lost; another writes.
/// `close()`, or releasing the session, ends both and the channel.
public final class CommandSession: Sendable {
    private let core: SessionCore
    private let dialect: Dialect
    private let tasks: [Task<Void, Never>]
    private let log: Logger
    /// The variables that `open` sets in the shell of tasks.
    private let variables = Mutex<[(name: String, value: String)]>([])

    /// A session on `channel`; nothing is typed before `open`. `transcript` gets every byte of the guest's output as it arrives;
    /// the session logs to `log`.
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

    /// Ends the session and its channel. Waiting calls throw `channelClosed`. Safe to repeat.
    public func close() {
        core.close(.channelClosed)
        for task in tasks { task.cancel() }
    }

    /// Waits until the guest's shell is ready and sets it up; call it again after a reboot.
    ///
    /// With `atShell` the shell already waits for a command (a guest restored from a snapshot), and no greeting is awaited: one is
    /// another shell's and throws `greetedAgain`. With `prewarmed`, a command waits in it. `variables` are set in the shell of
    /// tasks, where the dialect can. A guest silent for `patience` is nudged, or given up with `bootTrouble` if its output explains
    /// why. Also throws `deadline`, `cancelled` or `channelClosed`.
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

    /// The guest's progress towards its shell, as a clause; nil when no question of it was answered.
    public var progress: String? { core.progress }

    /// Whether a command runs in the guest, or may still run because its end was not seen.
    public var isBusy: Bool { core.isBusy }

    /// Whether a command waits in the guest's shell for the next `run`.
    public var isPrewarmed: Bool { core.prewarmed != nil }

    /// Starts a command that waits in the shell for the next `run`, where the dialect can, before a snapshot is saved: clones of it
    /// are opened with `prewarmed`. Throws as `run`.
    public func prewarm(deadline: ContinuousClock.Instant) async throws(ConsoleError) {
        guard let prewarmed = dialect.prewarmed, !isPrewarmed else { return }
        let result = try await perform(prewarmed.exchanges(), deadline: deadline, silence: nil) { _ in }
        guard result.exit == 0 else {
            throw .protocolViolation("the guest could not start a waiting command (status \(result.exit))")
        }
        core.update { $0.setPrewarmed() }
    }

    /// Announces a reboot of the guest: the next `open` waits for a later greeting.
    public func expectReboot() {
        log.debug("a reboot is expected")
        core.update { $0.forgetGreeting() }
    }

    /// Reports a reset of the machine: a running command throws `greetedAgain`; the next `open` waits for a later greeting.
    public func machineWasReset() {
        log.debug("the machine was reset")
        core.machineWasReset()
    }

    /// Runs a command in the guest's shell and returns when it has ended.
    ///
    /// `output` gets exactly the bytes that the command prints, as they arrive and never after the return. It must be quick and
    /// must not use the session. `silence` limits how long the guest may be silent. A nonzero exit status is a result. Throws when
    /// there is none; after `deadline`, `silence` and `cancelled` the command may still run, and the session is `busy` until it has
    /// ended or `interrupt` has returned true.
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

    /// As `run`, in the guest's POSIX control shell, which on Linux is that of `run`. Files are copied as Base64 in both directions
    /// and left out of the transcript. Throws `unsupported` where there is none.
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

    /// Passes on what a command has written to standard error, up to its folder's limit, and removes that folder. Throws as `run`.
    public func takeErrors(
        in folder: CommandFolder, deadline: ContinuousClock.Instant,
        output: @escaping @Sendable (ArraySlice<UInt8>) -> Void
    ) async throws(ConsoleError) {
        let file = Mutex(FrameScanner(upTo: POSIXShell.endMarker(folder.nonce)))
        let script = "cat \(folder.path)/stderr 2>/dev/null; rm -rf \(folder.path)"
        _ = try await control(GuestCommand(script), deadline: deadline) { piece in
            file.withLock { $0.pass(piece, to: output) }
        }
        let rest = file.withLock { $0.finish() }
        if !rest.isEmpty { output(rest) }
    }

    /// Runs `body`, which runs the command, and logs its progress; the command itself, which may hold secrets, only at `trace`.
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
        // An earlier call started a replacement of the shell and did not wait for it.
        if core.isRenewing { try await open(setting: variables.withLock { $0 }, deadline: deadline) }
        let start = HostClock.now
        var bytes = 0
        var status: Int32 = 0
        var refusals: [Int32: CommandRefusal] = [:]
        for exchange in exchanges {
            if let refusal = refusals[status] { throw .refused(refusal) }
            if status != 0, status == dialect.renewed { throw .renewed }
            if status != 0 {
                throw .protocolViolation("the guest could not receive the command (status \(status))")
            }
            let answer = try await core.wait(typing: exchange.text, deadline: deadline, silence: silence) {
                $0.awaitEnd(
                    of: exchange, input: exchange.isOutput ? input : nil, output: exchange.isOutput ? output : nil)
            }
            (status, refusals) = (answer.status, exchange.refusals)
            if exchange.isOutput { bytes += answer.bytes }
        }
        return CommandResult(exit: status, bytes: bytes, duration: start.duration(to: HostClock.now))
    }

    /// Stops a given-up command and kills what it has left in the background. True when the shell is free for the next one within
    /// `grace`. Types Ctrl-C or the dialect's inputs in rising order of force, `step` apart. False leaves the session busy: only
    /// the end of the guest ends that command.
    public func interrupt(grace: Duration, step: Duration = .seconds(3)) async -> Bool {
        let start = HostClock.now
        defer { log.debug("interrupting took", metadata: ["ms": "\(start.millisecondsAgo)"]) }
        log.debug("the command is interrupted", metadata: ["grace": "\(grace)"])
        do {
            // Typed earlier it would reach the resident shell, which ignores it.
            _ = try await core.wait(deadline: start + grace) { $0.awaitAbandoned(begin: true) }
            let share = min(step, grace / max(dialect.interrupts.count, 1))
            for (index, keys) in dialect.interrupts.enumerated() {
                do {
                    // Not earlier: a second Ctrl-C while the shell prints the end marker would remove that.
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

import Diagnostics
import GuestConsole
import HostSystem
import LabResults

// One operation at a time, and the recovery from timeouts, reboots, cancellation and loss.
extension LiveGuest {
    /// How long a command may take to end after a signal, before the limits' factor.
    static let grace = Duration.seconds(10)

    /// The guests that the current task holds exclusively.
    @TaskLocal private static var held: Set<ObjectIdentifier> = []

    /// Runs `body` with exclusive use of the guest, after waiting for it; other operations wait meanwhile. Throws
    /// `CancellationError` when cancelled before.
    package func exclusive<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        let id = ObjectIdentifier(self)
        if Self.held.contains(id) { return try await body() }
        try await turn.acquire()
        defer { turn.release() }
        return try await Self.$held.withValue(Self.held.union([id])) { try await body() }
    }

    /// Like `exclusive`, for a guest that is up. Throws the `GuestLoss` of a lost guest, and a `Diagnostic` for one that is
    /// powered off.
    func hold<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        if let loss { throw loss }
        return try await exclusive { [self] in
            if let loss { throw loss }
            guard !isOff else { throw isOffProblem }
            try await wake()
            return try await body()
        }
    }

    /// Runs `body` until its deadline or the guest's loss; `what` names it in messages, `owner` is its task. On a timeout its
    /// command is ended, so that the guest stays usable.
    ///
    /// Throws `GuestTimeout`, `GuestLoss`, `ConsoleError.greetedAgain` for a guest that has rebooted and is ready again, errors
    /// of `body`, and `CancellationError`, after which the command is ended before the next operation.
    func operate<Result: Sendable>(
        _ time: TimeLimit, _ what: String, of owner: String? = nil,
        _ body: @escaping @Sendable (ContinuousClock.Instant) async throws -> Result
    ) async throws -> Result {
        try await hold { [self] in
            await endLeftCommand("a cancelled command")
            if let loss { throw loss }
            try await updateHosts()
            do {
                return try await session.whileAlive { try await body(time.deadline) }
            } catch ConsoleError.deadline {
                throw try await timeout(GuestTimeout(what: "\(what) did not end", limit: time.duration), owner ?? what)
            } catch ConsoleError.silence {
                var timeout = GuestTimeout(what: "\(what) printed nothing", limit: limits.silence ?? .zero)
                timeout.isSilence = true
                throw try await self.timeout(timeout, owner ?? what)
            } catch ConsoleError.greetedAgain {
                try await session.becomeReady(deadline: limits.deadline(in: limits.timeouts.boot))
                hasComeUp()
                throw ConsoleError.greetedAgain
            } catch  where Task.isCancelled {
                move(.leaveCommand)
                throw CancellationError()
            } catch  where session.commands.isBusy {
                await endCommand(owner ?? what)
                throw error
            }
        }
    }

    private func timeout(_ timeout: GuestTimeout, _ what: String) async throws -> GuestTimeout {
        var timeout = timeout
        timeout.recovery = await endCommand(what)
        guard Task.isCancelled else { return timeout }
        move(.leaveCommand)
        throw CancellationError()
    }

    /// Ends the command of a cancelled operation, `what` in messages.
    @discardableResult
    package func endLeftCommand(_ what: String) async -> Recovery {
        let recovery = try? await exclusive { [self] in
            guard loss == nil else { return Recovery.lost }
            guard hasLeftCommand else { return .atPrompt }
            return await endCommand(what)
        }
        return recovery ?? .lost
    }

    /// Ends the running command: interrupts it, then kills all its processes. A guest that still does not return to its prompt
    /// is reset, which discards its state but keeps it usable.
    @discardableResult
    private func endCommand(_ what: String) async -> Recovery {
        guard loss == nil, !Task.isCancelled else { return .lost }
        let grace = Self.grace * limits.factor
        let isBack = try? await session.whileAlive { [session] in await session.commands.interrupt(grace: grace) }
        if isBack == true {
            move(.endCommand)
            return .atPrompt
        }
        guard loss == nil, !Task.isCancelled else { return .lost }
        life.fleet.recorder.emit(
            .note(
                level: .warning,
                message:
                    "\(name) is replaced by a fresh guest because \(what) could not be ended: what its tasks had left in it is lost"
            ))
        return (try? await renew()) == nil ? .lost : .madeAnew
    }
}

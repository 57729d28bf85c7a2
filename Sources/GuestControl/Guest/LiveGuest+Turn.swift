import Diagnostics
import GuestConsole
import HostSystem
import LabResults

// One thing after the other, and what happens when one does not end well: at its time's end, at a reboot, when its caller is
// cancelled, when the guest is lost.
extension LiveGuest {
    /// How long a command may take to go, before the limits' factor.
    static let grace = Duration.seconds(10)

    /// The guests that the present task has to itself.
    @TaskLocal private static var held: Set<ObjectIdentifier> = []

    /// Waits for the guest's attention, and runs `body` with the guest to itself: what others ask of it waits meanwhile.
    /// Throws `CancellationError` when the task is cancelled before.
    package func exclusive<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        let id = ObjectIdentifier(self)
        if Self.held.contains(id) { return try await body() }
        try await turn.acquire()
        defer { turn.release() }
        return try await Self.$held.withValue(Self.held.union([id])) { try await body() }
    }

    /// Runs `body` with a guest to itself that is up. Throws the `GuestLoss` of one that is lost, a `Diagnostic` for one that is
    /// off.
    func hold<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        if let loss { throw loss }
        return try await exclusive { [self] in
            if let loss { throw loss }
            guard !isOff else { throw isOffProblem }
            try await wake()
            return try await body()
        }
    }

    /// Runs `body`, which is `what` in messages, and of the task `owner`, by the deadline that it is given, for as long as the guest
    /// lives. When the time is over its command is ended, so that the guest can be used for the next.
    ///
    /// Throws `GuestTimeout`; `GuestLoss`; `ConsoleError.greetedAgain` for a guest that has rebooted, which is ready again then;
    /// what `body` throws; `CancellationError`, and its command is ended before the next.
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

    /// Ends what a cancelled operation left running, `what` in messages.
    @discardableResult
    package func endLeftCommand(_ what: String) async -> Recovery {
        let recovery = try? await exclusive { [self] in
            guard loss == nil else { return Recovery.lost }
            guard hasLeftCommand else { return .atPrompt }
            return await endCommand(what)
        }
        return recovery ?? .lost
    }

    /// Ends the command that runs: asks it to go, then kills all that it has started. A guest that does not come back to its
    /// prompt even so is made anew, which costs those who come after it what was in it, but not the guest.
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

import Diagnostics
import GuestConsole
import HostResources

// Guests that go on from snapshots: who they are, and what time it is.
extension GuestSession {
    /// Takes over a guest that was restored from a snapshot, which waits for a command, and gives it an identity of its own.
    /// Throws as `becomeReady`.
    ///
    /// `prewarmed` says that a command of its tasks' shell waits.
    func resume(_ identity: CloneIdentity, prewarmed: Bool, deadline: ContinuousClock.Instant) async throws {
        do {
            try await whileAlive { [commands] in
                try await commands.open(
                    atShell: true, prewarmed: prewarmed, setting: identity.variables, deadline: deadline)
            }
            log.debug("went on from its snapshot")
            try await identify(identity, deadline, failure: "the guest could not be given an identity of its own")
            log.debug("has an identity of its own")
            onReady()
        } catch let error as ConsoleError where !Task.isCancelled {
            throw lose("the guest did not resume from its snapshot: \(sentence(of: error))")
        }
    }

    /// Gives a guest that is about to be saved its own identity again, runs a command in the shell of tasks and has the next
    /// one wait, so that its clones find in memory, and half done, what they will need first. Throws as `becomeReady`.
    func prepareForClones(_ identity: CloneIdentity, deadline: ContinuousClock.Instant) async throws {
        do {
            // The second time as in a clone, where what the first one started waits.
            for _ in 0..<2 { try await identify(identity, deadline, failure: "the guest could not be made a golden") }
            try await whileAlive { [commands] in
                _ = try await commands.run(GuestCommand("echo"), deadline: deadline)
                try await commands.prewarm(deadline: deadline)
            }
        } catch let error as ConsoleError where !Task.isCancelled {
            throw lose("the guest could not be made a golden: \(sentence(of: error))")
        }
    }

    /// Runs a command in the shell of tasks, whose first process costs an emulated clone most, unless its first command waits
    /// already. Throws as `CommandSession.run`.
    func warmUp(deadline: ContinuousClock.Instant) async throws {
        if commands.isPrewarmed { return }
        try await whileAlive { [commands] in _ = try await commands.run(GuestCommand("true"), deadline: deadline) }
    }

    /// Lets a guest go on that stood still, with the present time. Throws as `becomeReady`.
    func wake(deadline: ContinuousClock.Instant) async throws {
        do {
            try await machine.resume()
            try await setClock(deadline: deadline)
            onReady()
        } catch  where !Task.isCancelled {
            throw loss.current ?? lose("the guest did not resume after a pause: \(sentence(of: error))")
        }
    }

    /// Gives a guest the present time after it stood still, unless it has no clock that can be set. Throws a `Diagnostic` when
    /// it does not take it, and as `CommandSession.run`.
    func setClock(deadline: ContinuousClock.Instant) async throws {
        guard hasClock else { return }
        let (status, said) = try await control(GuestCommand(CloneIdentity.clock, inSession: true), deadline)
        if status != 0 {
            throw Diagnostic(
                .guest, "the guest's clock could not be set after a pause",
                cause: said.split(whereSeparator: \.isNewline).joined(separator: "; "))
        }
    }

    private func identify(
        _ identity: CloneIdentity, _ deadline: ContinuousClock.Instant, failure: String
    ) async throws {
        let (status, said) = try await control(GuestCommand(identity.line, inSession: true), deadline)
        if status == 127 {
            try await setUp(identity.script, deadline, failure: failure)
        } else if status != 0 {
            throw lose("\(failure): \(said)", isGuestsDoing: true)
        }
    }
}

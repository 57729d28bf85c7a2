import Diagnostics
import GuestConsole
import HostResources

extension GuestSession {
    /// Takes over a guest that was restored from a snapshot at a prompt, and gives it its own identity. Throws as `becomeReady`.
    /// `prewarmed` says that the task shell has a prewarmed command; `renewal` follows the identity.
    func resume(
        _ identity: CloneIdentity, prewarmed: Bool, deadline: ContinuousClock.Instant,
        renewal: () async throws -> Void
    ) async throws {
        do {
            try await whileAlive { [commands] in
                try await commands.open(
                    atShell: true, prewarmed: prewarmed, setting: identity.variables, deadline: deadline)
            }
            log.debug("went on from its snapshot")
            try await identify(identity, deadline, failure: "the guest could not be given an identity of its own")
            try await renewal()
            log.debug("has an identity of its own")
            onReady()
        } catch let error as ConsoleError where !Task.isCancelled {
            throw lose("the guest did not resume from its snapshot: \(sentence(of: error))")
        }
    }

    /// Prepares a guest that is about to be saved for clones: sets its identity again, runs a command in the task shell and
    /// prewarms the next one, so that clones find what they need first in memory. Throws as `becomeReady`.
    func prepareForClones(_ identity: CloneIdentity, deadline: ContinuousClock.Instant) async throws {
        do {
            // Twice: the second time uses the programs that the first one started, as in a clone.
            for _ in 0..<2 { try await identify(identity, deadline, failure: "the guest could not be made a golden") }
            try await whileAlive { [commands] in
                _ = try await commands.run(GuestCommand("echo"), deadline: deadline)
                try await commands.prewarm(deadline: deadline)
            }
        } catch let error as ConsoleError where !Task.isCancelled {
            throw lose("the guest could not be made a golden: \(sentence(of: error))")
        }
    }

    /// Runs a command in the task shell, unless one is prewarmed: the first process is the most expensive in an emulated clone.
    /// Throws as `CommandSession.run`.
    func warmUp(deadline: ContinuousClock.Instant) async throws {
        if commands.isPrewarmed { return }
        try await whileAlive { [commands] in _ = try await commands.run(GuestCommand("true"), deadline: deadline) }
    }

    /// Resumes a paused guest and sets its clock. Throws as `becomeReady`.
    func wake(deadline: ContinuousClock.Instant) async throws {
        do {
            try await machine.resume()
            try await setClock(deadline: deadline)
            onReady()
        } catch  where !Task.isCancelled {
            throw loss.current ?? lose("the guest did not resume after a pause: \(sentence(of: error))")
        }
    }

    /// Sets the clock of a guest that was paused, unless it has none that can be set. Throws a `Diagnostic` when that fails,
    /// and as `CommandSession.run`.
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

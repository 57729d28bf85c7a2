import Diagnostics
import GuestConsole
import HostSystem

extension LiveGuest {
    /// Saves the guest's memory, processes and disks. It is paused meanwhile and then resumed. Throws a `Diagnostic` when the
    /// machine does not support it, and as `run`.
    public func snapshot(timeout: Duration? = nil) async throws -> GuestSnapshot {
        if let obstacle = CloneObstacle(isCloneable: life.image.isCloneable) {
            throw obstacle.diagnostic(planned.group)
        }
        let folder = "\(directory)/snapshot-\(UInt64.random(in: .min ... .max))"
        return try await operate(limits.time(timeout), "the snapshot") { [self] deadline in
            try FileTree.makeFolder(folder, mode: 0o700)
            do {
                let needs = try await session.learnNeeds(forgetting: false, deadline: deadline)
                // Prewarmed, so that the first command after a restore starts fast.
                try await session.commands.prewarm(deadline: deadline)
                var saved = try await withDeadline(deadline) { [session] in try await session.machine.save(to: folder) }
                saved.needs = needs
                // The guest was paused meanwhile.
                try await setClock()
                return GuestSnapshot(
                    of: planned, saved, image: life.image, cards: networks.cardAddresses(of: number),
                    knownHosts: knownHosts.lines, isPrewarmed: session.commands.isPrewarmed,
                    files: OwnedFolder(folder))
            } catch {
                try? FileTree.remove(folder)
                throw error is DeadlineExceeded ? ConsoleError.deadline : error
            }
        }
    }

    /// Restores the guest from a snapshot, which may be of another guest; its name, addresses, random seed and clock are set anew.
    /// The machine is replaced and its later state discarded. Throws a `Diagnostic` when the snapshot is of another shape of guest,
    /// and `GuestLoss` when the guest does not come back.
    public func restore(_ snapshot: GuestSnapshot, timeout: Duration? = nil) async throws {
        if let loss { throw loss }
        if let obstacle = snapshot.obstacle(for: planned, cards: networks.cardAddresses(of: number).count) {
            throw Diagnostic(
                .specification,
                "\(name) cannot go back to the snapshot of \(snapshot.planned.guest.name): it \(obstacle)")
        }
        let patience = timeout ?? limits.timeouts.boot
        try await hold { [self] in
            try await restart(.restore) { try await life.begin(snapshot, deadline: limits.deadline(in: patience)) }
        }
    }

    /// Resets the guest to its ready point: a clone of its golden, or a boot where there is none. Throws as `restore`.
    package func renew() async throws {
        try await exclusive { [self] in
            try await restart(.renew) { try await life.boot(within: limits) }
        }
    }

    /// Prepares a machine for the next `renew`.
    package func prepareRenewal() async {
        // A failure is reported by the `renew` itself.
        if let golden = try? await life.golden() {
            life.prepareSpare(golden, deadline: limits.deadline(in: limits.timeouts.boot))
        }
    }

    private func restart(_ move: GuestState.Move, _ begin: () async throws -> GuestSession) async throws {
        await keepTroubles()
        do {
            isNow(try await begin())
        } catch {
            var loss = GuestLoss(of: error)
            if Task.isCancelled { (loss.outcome, loss.message) = (.skipped, "it was interrupted") }
            loss.message = "the guest did not come back from its reset: \(loss.message)"
            self.move(.lose(loss))
            throw Task.isCancelled ? CancellationError() : loss
        }
        self.move(move)
        hasComeUp()
    }
}

import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabResults

extension LiveGuest {
    /// Reboots the guest, with a machine reset if it does not do so itself, and waits until it is ready. Throws `GuestLoss`
    /// when it does not come back.
    public func reboot(timeout: Duration? = nil) async throws {
        let boot = (timeout ?? limits.timeouts.boot) * limits.factor
        let patience = min(GuestSession.downTime * limits.factor, boot)
        try await hold { [session] in try await session.reboot(patience: patience, boot: boot) }
        hasComeUp()
    }

    /// Shuts the guest down and waits until it is off. After the timeout it is powered off by force, with a note. Its machine
    /// and disks stay for `start` until other guests need the memory. Throws as `run`.
    public func powerOff(timeout: Duration? = nil) async throws {
        let patience = timeout ?? limits.timeouts.boot
        try await hold { [self] in
            do {
                try await session.powerOff(deadline: limits.deadline(in: patience))
            } catch ConsoleError.deadline {
                session.note(
                    "its power was cut because it did not power itself off within \((patience * limits.factor).notation); what "
                        + "it had not written to its disks is lost")
                try await session.machine.pause()
            }
            move(.powerOff)
            life.fleet.recorder.emit(.guestEnded(guest: name, orderly: true, reason: "powered off"))
        }
    }

    /// Boots a powered-off guest from its disks and waits until it is ready. Throws a `Diagnostic` for a guest that is not off,
    /// and `GuestLoss` when it does not come up.
    public func start(timeout: Duration? = nil) async throws {
        let patience = timeout ?? limits.timeouts.boot
        try await exclusive { [self] in
            if let loss { throw loss }
            guard isOff else {
                throw Diagnostic(
                    .specification, "\(name) is already running",
                    remedy: "`reboot` restarts it; `start` is for a guest that is powered off")
            }
            let started = HostClock.now
            let recorder = life.fleet.recorder
            recorder.emit(.guestBooting(guest: name, backend: planned.backend.name, boot: .cold))
            try await session.start(deadline: limits.deadline(in: patience))
            move(.start)
            hasComeUp()
            recorder.emit(.guestReady(guest: name, seconds: (HostClock.now - started) / .seconds(1)))
        }
    }

    /// Ends a powered-off guest for good; `reason` is reported to later `start` calls. No effect on other guests.
    package func giveUpIfOff(_ reason: String) async {
        guard isOff else { return }
        wantedEnd.fulfil("powered off")
        session.loss.fulfil(GuestLoss(outcome: .error, message: reason, consoleTail: []))
        _ = try? await ended?.wait()
    }

    package func lost() async throws -> GuestLoss { try await life.lost() }

    /// Ends the guest's machine, waits until it is gone, and records the reason, unless the guest is off, which was already
    /// recorded.
    package func end(_ reason: String, orderly: Bool) async {
        await life.end()
        if !isOff { life.fleet.recorder.emit(.guestEnded(guest: name, orderly: orderly, reason: reason)) }
        session.loss.fulfil(GuestLoss(outcome: .error, message: reason, consoleTail: []))
    }

    /// Ends the guest's machine at once and waits until it is gone.
    public func kill() async throws {
        wantedEnd.fulfil("ended by the script")
        session.loss.fulfil(GuestLoss(outcome: .error, message: "the script ended the guest", consoleTail: []))
        await life.end()
        _ = try await ended?.wait()
    }

    /// Pauses the vCPUs. Throws the machine's error, and the `GuestLoss` of a guest that is lost.
    public func pause() async throws {
        try await whileRunning { try await $0.pause() }
    }

    /// Resumes the vCPUs and sets the clock: now, or after the running operation. Throws the machine's error, and as `run`.
    public func resume() async throws {
        try await whileRunning { try await $0.resume() }
        move(.fallBehind)
        if isIdle { try await hold {} }
    }

    /// Calls the machine itself, whether or not the guest is busy.
    private func whileRunning(_ body: @escaping @Sendable (any Machine) async throws -> Void) async throws {
        if let loss { throw loss }
        guard !isOff else { throw isOffProblem }
        try await session.whileAlive { [session] in try await body(session.machine) }
    }

    /// Pauses the vCPUs of an idle guest until its next operation. No effect in a cancelled task, or when the machine cannot pause.
    package func rest() async {
        _ = try? await exclusive { [self] in
            guard loss == nil, !Task.isCancelled else { return }
            // A cancelled pause may have taken effect.
            if (try? await session.machine.pause()) != nil || Task.isCancelled { move(.rest) }
        }
    }

    /// Resumes an idle guest and sets its clock.
    func wake() async throws {
        if move(.wake) { try await session.wake(deadline: limits.deadline(in: limits.timeouts.task)) }
        guard isClockBehind else { return }
        move(.setClock)
        try await setClock()
    }

    /// Sets the guest's clock. A failure is noted, and the guest stays usable.
    func setClock() async throws {
        do {
            try await session.setClock(deadline: limits.deadline(in: limits.timeouts.task))
        } catch let problem as Diagnostic {
            life.fleet.recorder.emit(.note(level: .warning, message: "\(name): \(sentence(of: problem))"))
        }
    }
}

import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabResults

// The machine's power, and its processors.
extension LiveGuest {
    /// Has the guest reboot itself, or resets it where it does not, and waits until it is ready again. Throws `GuestLoss` when
    /// it does not come back.
    public func reboot(timeout: Duration? = nil) async throws {
        let boot = (timeout ?? limits.timeouts.boot) * limits.factor
        let patience = min(GuestSession.downTime * limits.factor, boot)
        try await hold { [session] in try await session.reboot(patience: patience, boot: boot) }
        hasComeUp()
    }

    /// Lets the guest shut itself down and waits until it is off. One that does not in time loses its power, which is told.
    /// Its machine and its disks stay for `start`, until other guests need its room. Throws as `run`.
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

    /// Boots a guest that is powered off from the disks that it has, and waits until it is ready. Throws a `Diagnostic` for one
    /// that is not off; `GuestLoss` when it does not come up.
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

    /// Ends a guest that is off for good, with the reason that is told to who would start it; nothing happens to others.
    package func giveUpIfOff(_ reason: String) async {
        guard isOff else { return }
        wantedEnd.fulfil("powered off")
        session.loss.fulfil(GuestLoss(outcome: .error, message: reason, consoleTail: []))
        _ = try? await ended?.wait()
    }

    /// Waits until the guest is lost without anybody's will.
    package func lost() async throws -> GuestLoss { try await life.lost() }

    /// Ends the guest's machine, waits until it is gone, and records why, unless the guest is off, which was recorded then.
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

    /// Stops the guest's processors. Throws what the machine says, and the `GuestLoss` of a guest that does not run any more.
    public func pause() async throws {
        try await whileRunning { try await $0.pause() }
    }

    /// Lets the guest's processors run again, with the present time: now, or where something runs in it, once that has ended.
    /// Throws what the machine says, and as `run`.
    public func resume() async throws {
        try await whileRunning { try await $0.resume() }
        move(.fallBehind)
        if isIdle { try await hold {} }
    }

    /// Asks something of the machine itself, whether or not the guest is busy.
    private func whileRunning(_ body: @escaping @Sendable (any Machine) async throws -> Void) async throws {
        if let loss { throw loss }
        guard !isOff else { throw isOffProblem }
        try await session.whileAlive { [session] in try await body(session.machine) }
    }

    /// Has the guest stand still until something is asked of it. Nothing happens in a cancelled task, and where its machine
    /// cannot.
    package func rest() async {
        _ = try? await exclusive { [self] in
            guard loss == nil, !Task.isCancelled else { return }
            // A pause that is given up on its way may have been done all the same.
            if (try? await session.machine.pause()) != nil || Task.isCancelled { move(.rest) }
        }
    }

    /// Lets a guest that stands still go on, with the present time.
    func wake() async throws {
        if move(.wake) { try await session.wake(deadline: limits.deadline(in: limits.timeouts.task)) }
        guard isClockBehind else { return }
        move(.setClock)
        try await setClock()
    }

    /// Gives the guest the present time. One that does not take it is told of, and can be used all the same.
    func setClock() async throws {
        do {
            try await session.setClock(deadline: limits.deadline(in: limits.timeouts.task))
        } catch let problem as Diagnostic {
            life.fleet.recorder.emit(.note(level: .warning, message: "\(name): \(sentence(of: problem))"))
        }
    }
}

import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabResults
import LabSpec
import Synchronization

/// Shutdown and reboot: by the guest itself, so that it writes its caches to disk, and by the machine's power otherwise.
extension GuestSession {
    /// How long a guest may take to shut down before it is powered off by force.
    static let downTime = Duration.seconds(30)

    /// Reboots the guest, by itself within `patience` or else by a machine reset, with a note; then waits for the ready point
    /// within the boot timeout. Throws as `becomeReady`, also when the machine cannot reset.
    func reboot(patience: Duration, boot: Duration) async throws {
        console.beginBoot()
        if let obstacle = try await rebootItself(by: HostClock.now + patience) {
            if !obstacle.isEmpty {
                note("its machine was reset because \(obstacle); what it had not written to its disks is lost")
            }
            commands.expectReboot()
            do {
                power.withLock { $0.willReset() }
                try await machine.reset()
            } catch  where !Task.isCancelled {
                // The session waits for a greeting that will not come.
                throw loss.current ?? lose("the guest could not be rebooted: \(sentence(of: error))")
            }
        }
        try await becomeReady(deadline: HostClock.now + boot)
    }

    /// Nil once the guest reboots, else why it does not; empty where it cannot reboot itself.
    private func rebootItself(by deadline: ContinuousClock.Instant) async throws -> String? {
        guard let command = shutdown.reboot else { return "" }
        let reset = power.withLock { $0.expectReset() }
        do {
            let (status, said) = try await ask(command, deadline)
            guard status == 0 else { return "its `\(command)` ended with exit status \(status): \(said)" }
            _ = try await whileAlive { try await withDeadline(deadline) { try await reset.wait() } }
            // A guest that announces itself may already have done so. Without announcements the prompt left by another command
            // is no sign of the next boot.
            if !announces { commands.expectReboot() }
            return nil
        } catch ConsoleError.greetedAgain {
            return nil
        } catch let loss as GuestLoss {
            throw loss
        } catch  where Task.isCancelled {
            throw error
        } catch is DeadlineExceeded {
            return "it did not reboot by itself in time"
        } catch {
            return sentence(of: error)
        }
    }

    /// Runs a command in the control shell, or in the only shell.
    private func ask(_ command: String, _ deadline: ContinuousClock.Instant) async throws -> (Int32, String) {
        do {
            return try await control(GuestCommand(command), deadline)
        } catch ConsoleError.unsupported {
            let result = try await whileAlive { [commands] in
                try await commands.run(GuestCommand(command), deadline: deadline)
            }
            return (result.exit, "")
        }
    }

    /// Shuts the guest down and returns once it is off; its machine stays for `start`. Throws its `GuestLoss`, the machine's
    /// error, and `ConsoleError.deadline` when it does not shut down.
    func powerOff(deadline: ContinuousClock.Instant) async throws {
        try await machine.stayWhenOff()
        let shutdown = power.withLock { power in
            power.willStay()
            return power.expectShutdown()
        }
        defer { power.withLock { $0.expectNoShutdown() } }
        try await whileAlive {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.askToPowerOff(deadline) }
                group.addTask { _ = try await withDeadline(deadline) { try await shutdown.wait() } }
                defer { group.cancelAll() }
                do {
                    // The shutdown command may end before the guest is off, or not at all.
                    while shutdown.current == nil, try await group.next() != nil {}
                } catch let error where shutdown.current == nil {
                    throw error is DeadlineExceeded ? ConsoleError.deadline : error
                }
            }
        }
    }

    private func askToPowerOff(_ deadline: ContinuousClock.Instant) async throws {
        guard let command = shutdown.powerOff else { return try await machine.powerDown() }
        _ = try await control(GuestCommand(command), deadline)
    }

    /// Powers on a guest that is off, and waits for the ready point. Throws as `becomeReady`, also when the machine cannot be
    /// powered on.
    func start(deadline: ContinuousClock.Instant) async throws {
        console.beginBoot()
        commands.expectReboot()
        do {
            power.withLock { $0.willPowerOn() }
            try await machine.powerOn()
            power.withLock { $0.isPoweredOn() }
        } catch  where !Task.isCancelled {
            throw loss.current ?? lose("the guest could not be powered on: \(sentence(of: error))")
        }
        try await becomeReady(deadline: deadline)
    }
}

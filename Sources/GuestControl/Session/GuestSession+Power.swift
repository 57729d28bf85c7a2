import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabResults
import LabSpec
import Synchronization

/// Guests that go down: by themselves, so that what they have not written to their disks is written, and by their machine's
/// power where they do not.
extension GuestSession {
    /// How long a guest may take to go down by itself before its power is used.
    static let downTime = Duration.seconds(30)

    /// Has the guest reboot itself, within `patience` or else by its machine's reset, which is told; then waits for its ready
    /// point for as long as a boot may take. Throws as `becomeReady`, also when the machine cannot reset.
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

    /// Nil once the guest reboots, else why it does not; empty where nobody could expect it to.
    private func rebootItself(by deadline: ContinuousClock.Instant) async throws -> String? {
        guard let command = shutdown.reboot else { return "" }
        let reset = power.withLock { $0.expectReset() }
        do {
            let (status, said) = try await ask(command, deadline)
            guard status == 0 else { return "its `\(command)` ended with exit status \(status): \(said)" }
            _ = try await whileAlive { try await withDeadline(deadline) { try await reset.wait() } }
            // One that announces itself may have done so by now; the prompt that another has left is no sign of the next boot.
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

    /// Runs a command in the shell for the host's own errands, or in the only one there is.
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

    /// Shuts the guest down in order and returns once it is off; its machine stays, for `start`. Throws its `GuestLoss`, what
    /// the machine says, and `ConsoleError.deadline` when it does not go down.
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
                    // Its command may end before the guest is off, and never end when it is.
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

    /// Powers on a guest that is off, and waits for its ready point. Throws as `becomeReady`, also when the machine cannot.
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

import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabSpec
import Synchronization

/// A guest that is up: its machine, its command channel, its consoles' records, and the news of its loss.
///
/// Exists only inside `withGuest`, which owns the machine and ends it however the body ends.
final class GuestSession: Sendable {
    let guest: RunPlan.PlannedGuest
    let machine: any Machine
    let commands: CommandSession
    let files: FileExchange
    /// Set when the guest can no longer be used.
    let loss: Completion<GuestLoss>

    private let console: ConsoleWatch
    /// What its plumbing shell runs at each ready point.
    private let setup: String?
    /// What shuts the guest down from within; nil for one that listens to its power button.
    private let farewell: String?
    /// Whether its clock can be set from within.
    private let hasClock: Bool
    private let poweredOff = Mutex(false)
    /// Resets of the machine that the host asked for and has not been told of.
    private let wantedResets = Mutex(0)
    private let care: [any MachineCare]
    private let cared: CaredMachine

    private init(
        guest: RunPlan.PlannedGuest, cared: CaredMachine, care: [any MachineCare], image: BootableImage,
        machine: any Machine, exchangeDisk: String?, setup: String?, console: ConsoleWatch
    ) {
        self.guest = guest
        self.cared = cared
        self.care = care
        self.machine = machine
        self.setup = setup
        self.console = console
        // Nobody in our own images listens to a power button.
        farewell = image.isFreestanding ? "poweroff" : image.console.announces ? "sync; busybox poweroff -f" : nil
        hasClock = !image.isFreestanding && Dialect.of(image.console).plumbing != nil
        loss = console.loss
        // Where commands share the kernel's port, the command channel is what there is to record and to watch.
        let shared = image.console.ports == 1
        let transcript: @Sendable (ArraySlice<UInt8>) -> Void = { console.append($0) }
        commands = CommandSession(
            channel: shared ? machine.console : machine.commands, dialect: Dialect.of(image.console),
            transcript: shared ? transcript : nil)
        files = FileExchange(session: commands, disk: exchangeDisk, os: guest.os)
    }

    /// Starts the guest's machine, runs `body` beside the watchers of the machine and of COM1, and ends the machine.
    ///
    /// `setup` is run by the guest's plumbing shell at each of its ready points. `care` looks after the machine, as that of
    /// guest `number`; a machine that is no guest of a run has none, and that of a spare begins with `enroll`.
    ///
    /// Throws what the backend throws when the machine cannot be started; after that, never by itself.
    static func withGuest<Result: Sendable>(
        _ guest: RunPlan.PlannedGuest, number: Int = -1, isSpare: Bool = false,
        care: [any MachineCare] = [OutOfMemoryOrder()], image: BootableImage,
        configuration: MachineConfiguration, journal: RunJournal, setup: String? = nil,
        log: @escaping @Sendable (ArraySlice<UInt8>) -> Void,
        onNote: @escaping @Sendable (String) -> Void, onLoss: @escaping @Sendable () async -> Void,
        body: @Sendable (GuestSession) async -> Result
    ) async throws -> Result {
        let machine = try await guest.backend.start(configuration)
        // A machine that cannot be written down still dies with us.
        try? journal.record(
            .child(
                guest: guest.guest.name, processID: machine.processID,
                startTime: ProcessTable().startTime(of: machine.processID) ?? 0, program: configuration.name))
        let cared = CaredMachine(number: number, guest: guest, processID: machine.processID)
        let session = GuestSession(
            guest: guest, cared: cared, care: care, image: image, machine: machine,
            exchangeDisk: configuration.exchangeDisk, setup: setup, console: ConsoleWatch(log: log, onNote: onNote))
        if isSpare { await OutOfMemoryOrder().started(cared) } else { await session.enroll() }
        let herald = Task {
            if (try? await session.loss.wait()) != nil { await onLoss() }
        }
        defer { herald.cancel() }
        return await withTaskGroup(of: Void.self) { watchers in
            watchers.addTask { await session.watchMachine() }
            if image.console.ports != 1 { watchers.addTask { await session.watchConsole() } }
            let result = await body(session)
            session.commands.close()
            await machine.end()
            for one in care { await one.ended(cared) }
            // The watchers end with what they watch, so that a console is recorded to its last byte.
            return result
        }
    }

    /// The machine is the guest's from now on, for those who look after it.
    func enroll() async {
        // A test's machine may be none of its own.
        guard cared.processID > 0 else { return }
        for one in care { await one.started(cared) }
    }

    private func onReady() {
        for one in care { one.ready(cared) }
    }

    /// Waits for the ready point. Throws a `GuestLoss` when the guest dies first, is not ready at the deadline or cannot be
    /// spoken to, else only when the calling task is cancelled.
    func becomeReady(deadline: ContinuousClock.Instant) async throws {
        do {
            try await whileAlive { [commands] in try await commands.open(deadline: deadline) }
            if let setup { try await setUp(setup, deadline) }
            onReady()
        } catch let error as ConsoleError where !Task.isCancelled {
            throw lose(Self.message(of: error))
        }
    }

    /// Why a guest is not ready, for people.
    private static func message(of error: ConsoleError) -> String {
        switch error {
        case .bootTrouble(let trouble): trouble.message
        case .deadline: "the guest did not become ready before its boot deadline"
        default: "the guest did not become ready: \(sentence(of: error))"
        }
    }

    /// Takes over a guest that was restored from a snapshot, which waits for a command, and gives it an identity of its own.
    /// Throws as `becomeReady`.
    ///
    /// `headStart` says that a command of its tasks' shell waits.
    func revive(_ identity: CloneIdentity, headStart: Bool, deadline: ContinuousClock.Instant) async throws {
        do {
            try await whileAlive { [commands] in
                try await commands.open(
                    atShell: true, headStart: headStart, setting: identity.variables, deadline: deadline)
            }
            try await identify(identity, deadline, failure: "the guest could not be given an identity of its own")
            onReady()
        } catch let error as ConsoleError where !Task.isCancelled {
            throw lose("the guest did not go on from its snapshot: \(sentence(of: error))")
        }
    }

    /// Gives a guest that is about to be saved its own identity again, runs a command in the shell of tasks and has the next
    /// one wait, so that its clones find in memory, and half done, what they will need first. Throws as `becomeReady`.
    func rehearse(_ identity: CloneIdentity, deadline: ContinuousClock.Instant) async throws {
        do {
            // The second time as in a clone, where what the first one started waits.
            for _ in 0..<2 { try await identify(identity, deadline, failure: "the guest could not be made a golden") }
            try await whileAlive { [commands] in
                _ = try await commands.run(GuestCommand("echo"), deadline: deadline)
                try await commands.giveHeadStart(deadline: deadline)
            }
        } catch let error as ConsoleError where !Task.isCancelled {
            throw lose("the guest could not be made a golden: \(sentence(of: error))")
        }
    }

    /// Runs a command in the shell of tasks, whose first process costs an emulated clone most, unless its first command waits
    /// already. Throws as `CommandSession.run`.
    func warmUp(deadline: ContinuousClock.Instant) async throws {
        if commands.hasHeadStart { return }
        try await whileAlive { [commands] in _ = try await commands.run(GuestCommand("true"), deadline: deadline) }
    }

    /// Lets a guest go on that stood still, with the present time. Throws as `becomeReady`.
    func wake(deadline: ContinuousClock.Instant) async throws {
        do {
            try await machine.resume()
            try await setClock(deadline: deadline)
            onReady()
        } catch  where !Task.isCancelled {
            throw loss.current ?? lose("the guest did not go on after it stood still: \(sentence(of: error))")
        }
    }

    /// Gives a guest the present time after it stood still, unless it has no clock that can be set. Throws a `Diagnostic` when
    /// it does not take it, and as `CommandSession.run`.
    func setClock(deadline: ContinuousClock.Instant) async throws {
        guard hasClock else { return }
        let (status, said) = try await plumb(GuestCommand(CloneIdentity.clock, inSession: true), deadline)
        if status != 0 {
            throw Diagnostic(
                .guest, "the clock could not be set after the guest stood still",
                cause: said.split(whereSeparator: \.isNewline).joined(separator: "; "))
        }
    }

    private func identify(
        _ identity: CloneIdentity, _ deadline: ContinuousClock.Instant, failure: String
    ) async throws {
        let (status, said) = try await plumb(GuestCommand(identity.line, inSession: true), deadline)
        if status == 127 {
            try await setUp(identity.script, deadline, failure: failure)
        } else if status != 0 {
            throw lose("\(failure): \(said)")
        }
    }

    private func setUp(
        _ script: String, _ deadline: ContinuousClock.Instant,
        failure: String = "the guest's network could not be set up"
    ) async throws {
        let (status, said) = try await plumb(GuestCommand(script), deadline)
        if status != 0 { throw lose("\(failure): \(said)") }
    }

    /// A command's status and all that it said.
    private func plumb(
        _ command: GuestCommand, _ deadline: ContinuousClock.Instant
    ) async throws -> (status: Int32, said: String) {
        let said = Mutex("")
        let result = try await whileAlive { [commands] in
            try await commands.plumb(command, deadline: deadline) { bytes in
                said.withLock { $0 += String(decoding: bytes, as: UTF8.self) }
            }
        }
        return (result.exit, said.withLock { $0 })
    }

    /// Reboots the guest and waits for its ready point again. Throws as `becomeReady`, also when the machine cannot reset.
    func reboot(deadline: ContinuousClock.Instant) async throws {
        commands.expectReboot()
        wantedResets.withLock { $0 += 1 }
        do {
            try await machine.reset()
        } catch  where !Task.isCancelled {
            // The session waits for a greeting that will not come.
            throw loss.current ?? lose("the guest could not be rebooted: \(sentence(of: error))")
        }
        try await becomeReady(deadline: deadline)
    }

    /// Shuts the guest down in order, and returns once it does so, or throws its `GuestLoss`: that is the end it wants. Else
    /// throws `ConsoleError.deadline`.
    func powerOff(deadline: ContinuousClock.Instant) async throws {
        if let farewell {
            _ = try await whileAlive { [commands] in
                try await commands.plumb(GuestCommand(farewell), deadline: deadline)
            }
        } else {
            try await machine.powerDown()
        }
        do {
            _ = try await withDeadline(deadline) { [loss] in try await loss.wait() }
        } catch is DeadlineExceeded {
            throw ConsoleError.deadline
        }
    }

    /// Gives the guest up, unless it is lost already; returns why it is.
    @discardableResult
    func lose(_ message: String) -> GuestLoss {
        let news = GuestLoss(outcome: .error, message: message, consoleTail: consoleTail)
        loss.fulfil(news)
        return loss.current ?? news
    }

    /// The last 200 lines of COM1, as text.
    var consoleLines: [String] { console.kept }

    /// What COM1 says, for waiting on it.
    var said: Transcript { console.said }

    /// What COM1 said last, as text.
    var consoleTail: [String] { console.tail }

    /// Runs `body` for as long as the guest lives: throws its `GuestLoss` when it is lost first.
    func whileAlive<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask { [loss] in throw try await loss.wait() }
            group.addTask { try await body() }
            defer { group.cancelAll() }
            do {
                guard let result = try await group.next() else { throw CancellationError() }
                return result
            } catch ConsoleError.channelClosed {
                // The port closes a moment before the machine's own news of why.
                throw await lossSoon()
            }
        }
    }

    private func lossSoon() async -> GuestLoss {
        let news = try? await withDeadline(ContinuousClock.now + .seconds(5)) { [loss] in try await loss.wait() }
        return news ?? lose("the guest's command channel closed")
    }

    private func watchMachine() async {
        for await event in machine.events {
            switch event {
            case .shutdown:
                poweredOff.withLock { $0 = true }
            case .reset:
                let isWanted = wantedResets.withLock { count in
                    defer { count = max(0, count - 1) }
                    return count > 0
                }
                if !isWanted { commands.machineWasReset() }
            case .panicked(let message):
                console.panic(message)
            case .exited(let status, let standardError):
                let message =
                    poweredOff.withLock { $0 }
                    ? "the guest powered itself off"
                    : "the guest's machine ended (\(status))" + standardError.suffix(3).map { "; \($0)" }.joined()
                loss.fulfil(GuestLoss(outcome: .error, message: message, consoleTail: consoleTail))
            }
        }
    }

    private func watchConsole() async {
        while let bytes = try? await machine.console.read(), !bytes.isEmpty {
            console.append(bytes[...])
        }
        console.finish()
    }
}

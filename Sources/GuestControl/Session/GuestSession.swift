import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabResults
import LabSpec
import Logging
import Synchronization

/// A running guest: its machine, command channel, console records, and loss. Exists only inside `withGuest`, which owns the machine
/// and ends it however the body returns.
package final class GuestSession: Sendable {
    let guest: PlannedGuest
    let machine: any Machine
    let commands: CommandSession
    let files: FileExchange
    /// Fulfilled when the guest is lost.
    let loss: Completion<GuestLoss>

    let log: Logger

    let console: ConsoleWatch
    private let isConsoleShared: Bool
    /// The control shell's commands at each ready point.
    private let setup: String?
    let shutdown: ShutdownCommands
    /// Whether it announces its ready point after each boot.
    let announces: Bool
    /// Whether its clock can be set from within.
    let hasClock: Bool
    /// The kernel modules that are loaded at each ready point.
    private let modules: KernelModules
    /// Whether its kernel has a serial console; nil for a guest that boots from disk.
    private let hasSerialWords: Bool?
    let power = Mutex(PowerState())
    /// Reports nonfatal events.
    let note: @Sendable (String) -> Void
    private let observers: [any MachineObserver]
    private let observed: RunningMachine

    private init(
        guest: PlannedGuest, observed: RunningMachine, observers: [any MachineObserver], image: BootableImage,
        machine: any Machine, configuration: MachineConfiguration, setup: String?, console: ConsoleWatch,
        pulse: GuestPulse, logger: Logger,
        note: @escaping @Sendable (String) -> Void
    ) {
        self.guest = guest
        log = logger
        self.observed = observed
        self.observers = observers
        self.machine = machine
        self.setup = setup
        self.console = console
        self.note = note
        shutdown = image.shutdown
        announces = image.console.announces
        hasClock = !image.isFreestanding && Dialect.of(image.console).controlShell != nil
        loss = console.loss
        // With a single port, the command channel is recorded and watched as the console.
        let shared = image.console.ports == 1
        isConsoleShared = shared
        commands = CommandSession(
            channel: shared ? machine.console : machine.commands, dialect: Dialect.of(image.console),
            log: Logger(label: "vmlab.console", guest: guest.guest.name),
            transcript: { bytes in
                if shared {
                    console.append(bytes)
                } else {
                    pulse.beat()
                    console.hearElsewhere()
                }
            })
        hasSerialWords = image.kernel == nil ? nil : configuration.hasSerialWords
        modules = KernelModules(files: image.modules, directory: configuration.directory)
        if configuration.restoring == nil { console.beginBoot() }
        files = FileExchange(session: commands, disk: configuration.exchangeDisk, os: guest.os, sharesConsole: shared)
    }

    /// Starts the guest's machine, runs `body` while the machine and COM1 are watched, and ends the machine.
    ///
    /// `setup` is run by the control shell at each ready point. `observers` observe the machine as that of guest `number`; a
    /// machine outside a run has none, and a spare is observed from `register` on.
    ///
    /// Throws the backend's error when the machine cannot be started, and a `Diagnostic` for an image that cannot boot; after
    /// that only errors of `body`.
    static func withGuest<Result: Sendable>(
        _ guest: PlannedGuest, number: Int? = nil, isSpare: Bool = false,
        observers: [any MachineObserver] = [OutOfMemoryOrder()], image: BootableImage,
        configuration: MachineConfiguration, journal: RunJournal, setup: String? = nil,
        log: @escaping @Sendable (ArraySlice<UInt8>) -> Void,
        onNote: @escaping @Sendable (String) -> Void, onLoss: @escaping @Sendable () async -> Void,
        body: @Sendable (GuestSession) async -> Result
    ) async throws -> Result {
        let logger = Logger(label: "vmlab.guests", guest: guest.guest.name)
        let begun = ContinuousClock.now
        if let obstacle = image.bootObstacle {
            throw Diagnostic(.guest, obstacle.reason, remedy: obstacle.remedy)
        }
        let machine = try await guest.backend.start(configuration)
        logger.debug("machine started", metadata: ["pid": "\(machine.processID)", "ms": "\(begun.millisecondsAgo)"])
        // A machine that cannot be recorded still ends with this process.
        try? journal.record(
            .child(
                guest: guest.guest.name, processID: machine.processID,
                startTime: ProcessTable().startTime(of: machine.processID) ?? 0, program: configuration.name))
        let observed = RunningMachine(
            number: number, guest: guest.guest.name, group: guest.group, processID: machine.processID)
        let pulse = GuestPulse(machine)
        let session = GuestSession(
            guest: guest, observed: observed, observers: observers, image: image, machine: machine,
            configuration: configuration, setup: setup,
            console: ConsoleWatch(log: log, onNote: onNote, pulse: pulse, logger: logger), pulse: pulse,
            logger: logger, note: onNote)
        if isSpare { await OutOfMemoryOrder().started(observed) } else { await session.register() }
        let lossNotice = Task {
            guard let loss = try? await session.loss.wait() else { return }
            logger.debug("gone", metadata: ["why": "\(loss.message)"])
            await onLoss()
        }
        defer { lossNotice.cancel() }
        return await withTaskGroup(of: Void.self) { watchers in
            watchers.addTask { await session.watchMachine() }
            watchers.addTask {
                // An unread port fills up and blocks the guest that writes to it.
                if session.isConsoleShared { await machine.commands.drain() } else { await session.watchConsole() }
            }
            let result = await body(session)
            session.commands.close()
            let ending = ContinuousClock.now
            await machine.end()
            logger.debug("machine ended", metadata: ["ms": "\(ending.millisecondsAgo)"])
            for one in observers { await one.ended(observed) }
            // The watchers end with their streams, so that the console is recorded to its last byte.
            return result
        }
    }

    /// Registers the machine with the observers, for the guest that now uses it.
    func register() async {
        // A test's machine may have no process.
        guard observed.processID > 0 else { return }
        for one in observers { await one.started(observed) }
    }

    func onReady() {
        for one in observers { one.ready(observed) }
    }

    /// Waits for the ready point. Throws a `GuestLoss` when the guest dies, misses the deadline or cannot be controlled,
    /// otherwise only when cancelled.
    func becomeReady(deadline: ContinuousClock.Instant) async throws {
        let patience = patience(within: deadline - HostClock.now)
        let watch = Task { await watchBoot(patience) }
        defer { watch.cancel() }
        do {
            try await whileAlive { [commands] in try await commands.open(patience: patience.stall, deadline: deadline) }
            console.endBoot()
            log.debug("shell ready")
            // Access to the files was checked with the lab.
            try await modules.load(deadline: deadline) {
                try await files.put($0, with: .everything, deadline: deadline)
            } run: {
                try await control($0, deadline)
            }
            if let setup { try await setUp(setup, deadline) }
            onReady()
        } catch let problem as Diagnostic {
            throw lose(problem.lineWithRemedy, isGuestsDoing: true)
        } catch is DeadlineExceeded {
            throw lose(message(of: .deadline))
        } catch let error as ConsoleError where !Task.isCancelled {
            throw lose(message(of: error))
        }
    }

    /// Only a kernel without a serial console is known to stay silent: on a busy host firmware and kernels may print nothing
    /// for long.
    private func patience(within time: Duration) -> BootWatch.Patience {
        var patience = BootWatch.Patience(within: time)
        if hasSerialWords != false { patience.silence = time / 2 }
        return patience
    }

    /// Gives up a guest whose console shows that it will not come up, or shows nothing.
    private func watchBoot(_ patience: BootWatch.Patience) async {
        // A shared console is judged by the session, except for its silence.
        while let boot = console.boot, !isConsoleShared || boot.stage == .silent {
            guard (try? await HostClock.sleep(until: boot.nextCheck(patience))) != nil else { return }
            if let trouble = console.inBoot({ $0.check(patience, hasSerialWords: hasSerialWords) }) {
                lose(trouble.message, isGuestsDoing: boot.stage != .silent)
                return
            }
        }
    }

    /// Why a guest is not ready, for messages.
    private func message(of error: ConsoleError) -> String {
        switch error {
        case .bootTrouble(let trouble): return trouble.message
        case .deadline:
            let late = "the guest did not become ready before its boot deadline"
            guard let boot = console.boot else {
                return "\(late): its modules or its network could not be set up in time"
            }
            if !isConsoleShared, boot.isAtLogin {
                return
                    "\(late): it shows a login prompt on its first serial port, but its commands are expected on the second; "
                    + "remedy: set `ports: 1` in the image's `console:`"
            }
            return "\(late): \(commands.progress ?? boot.stage.sentence)"
        default: return "the guest did not become ready: \(sentence(of: error))"
        }
    }

    func setUp(
        _ script: String, _ deadline: ContinuousClock.Instant,
        failure: String = "the guest's network could not be set up"
    ) async throws {
        let (status, said) = try await control(GuestCommand(script), deadline)
        if status != 0 {
            throw lose(
                "\(failure): \(said.split(whereSeparator: \.isNewline).joined(separator: "; "))", isGuestsDoing: true)
        }
    }

    /// A command's status and its output.
    func control(
        _ command: GuestCommand, _ deadline: ContinuousClock.Instant
    ) async throws -> (status: Int32, said: String) {
        let said = Mutex("")
        let result = try await whileAlive { [commands] in
            try await commands.control(command, deadline: deadline) { bytes in
                said.withLock { $0 += String(decoding: bytes, as: UTF8.self) }
            }
        }
        return (result.exit, said.withLock { $0 })
    }

    /// Marks the guest as lost, unless it already is; returns its loss.
    @discardableResult
    func lose(_ message: String, isGuestsDoing: Bool = false) -> GuestLoss {
        let news = GuestLoss(
            outcome: .error, message: message, consoleTail: consoleTail, isGuestsDoing: isGuestsDoing)
        loss.fulfil(news)
        return loss.current ?? news
    }

    /// The last 200 lines of COM1, as text.
    var consoleLines: [String] { console.kept }

    var said: Transcript { console.said }

    /// The kernel trouble on COM1 since the last call.
    func takeTroubles() async -> [GuestTrouble] {
        // Commands end on another port: earlier kernel output has arrived, but may not have been read yet.
        let deadline = HostClock.now + .seconds(1)
        while !isConsoleShared, !machine.console.isDrained, HostClock.now < deadline, !Task.isCancelled {
            await Task.yield()
        }
        return await console.takeTroubles().map {
            GuestTrouble(
                guest: guest.guest.name, kind: $0.kind.rawValue, message: $0.message, lines: $0.lines.map(\.text))
        }
    }

    var consoleTail: [String] { console.tail }

    /// Runs `body` while the guest lives; throws its `GuestLoss` when it is lost first.
    func whileAlive<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        do {
            return try await unless({ [loss] in try await loss.wait() }, body)
        } catch ConsoleError.channelClosed {
            // The port closes shortly before the machine reports the cause.
            throw await lossSoon()
        }
    }

    private func lossSoon() async -> GuestLoss {
        let news = try? await withDeadline(HostClock.now + .seconds(5)) { [loss] in try await loss.wait() }
        return news ?? lose("the guest's command channel closed")
    }

    private static let poweredItselfOff = "the guest powered itself off"

    private func machineWasReset() {
        let (isWanted, awaited) = power.withLock { $0.wasReset() }
        defer { awaited.fulfil() }
        if let panic = console.panicLoss {
            // A kernel may be configured to reboot on panic.
            console.panic(panic.message)
        } else if let trouble = console.inBoot({ $0.reset() }) {
            lose(trouble.message, isGuestsDoing: true)
        } else if !isWanted {
            commands.machineWasReset()
        }
    }

    private func watchMachine() async {
        for await event in machine.events {
            log.debug("machine event", metadata: ["event": "\(event)"])
            switch event {
            case .shutdown:
                if power.withLock({ $0.wasShutDown() }) { lose(Self.poweredItselfOff) }
            case .reset:
                machineWasReset()
            case .panicked(let message):
                console.panic(message)
            case .exited(let status, let standardError):
                let message =
                    power.withLock { $0.isOff }
                    ? Self.poweredItselfOff
                    : "the guest's machine ended (\(status))" + standardError.suffix(3).map { "; \($0)" }.joined()
                loss.fulfil(
                    console.panicLoss ?? GuestLoss(outcome: .error, message: message, consoleTail: consoleTail))
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

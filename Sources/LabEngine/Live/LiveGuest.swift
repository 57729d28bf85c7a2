import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabSpec
import Patterns
import Quantities
import Synchronization

/// A running guest as a script drives it: any task may ask anything of it at any time, and it does one thing after the
/// other. Every operation has a deadline, and ends early with a `GuestLoss` when the guest is lost.
public final class LiveGuest: Sendable {
    /// The guest, its group, its image's system, its memory.
    public let planned: RunPlan.PlannedGuest
    /// How long things may take.
    public let limits: LiveLimits
    let life: GuestLife
    private let now: Mutex<GuestSession>
    /// What earlier sessions' kernels said went wrong, of which nobody has been told.
    private let earlierTroubles = Mutex<[GuestTrouble]>([])
    /// Set when there is no session any more: the guest was to go back to a snapshot and did not come back.
    private let hasFailed = Completion<GuestLoss>()
    let networks: LabNetworks
    /// The run's folder for temporary files.
    let directory: String
    /// The names in the guest's `/etc/hosts`.
    let knownHosts: Mutex<HostNames>
    /// By the names of the networks that it has joined.
    private let addresses: [String: String]
    /// One operation at a time.
    private let turn = AsyncSemaphore()
    /// Whether the turn is its task's, between `enter` and `leave`.
    private let isEntered = Mutex(false)
    /// Whether anything has happened in the guest since its ready point.
    private let isUsed = Mutex(false)
    /// Whether it is powered off, and has its machine still.
    private let isPoweredOff = Mutex(false)
    /// Whether its processors stand still while nobody asks anything of it.
    private let isResting = Mutex(false)
    /// Whether it stood still and has not been given the present time since.
    private let hasOldTime = Mutex(false)
    /// A command was left behind when its waiter was cancelled: it must be ended before the next.
    private let hasLeftoverCommand = Mutex(false)
    /// Set when the script is done with the guest, with the reason that is told.
    let wantedEnd = Completion<String>()
    /// Set when the guest's machine is gone; nil for a guest whose end is not the script's to wait for, as it comes after
    /// the task that the script is.
    let ended: Completion<Void>?

    init(_ session: GuestSession, of life: GuestLife, limits: LiveLimits, isOfFleet: Bool) {
        directory = life.host.journal.directory
        ended = isOfFleet ? Completion() : nil
        self.life = life
        now = Mutex(session)
        planned = life.guest
        networks = life.host.networks
        self.limits = limits
        knownHosts = Mutex(life.hosts)
        addresses = networks.addresses(of: life.number)
    }

    /// The session with its present machine, or with its last one.
    var session: GuestSession { now.withLock { $0 } }

    /// Why the guest can no longer be used; nil while it can.
    var loss: GuestLoss? { hasFailed.current ?? session.loss.current }

    var number: Int { life.number }

    /// Whether the guest is as it was at its ready point.
    var isFresh: Bool { !isUsed.withLock { $0 } }

    /// Something happens in the guest.
    func use() { isUsed.withLock { $0 = true } }

    /// Its name.
    public var name: String { planned.guest.name }

    /// The last 200 lines of the guest's kernel console, as text.
    public var consoleLines: [String] { session.consoleLines }

    /// What went wrong in the guest's kernel since this was last asked.
    public func takeTroubles() async -> [GuestTrouble] {
        let earlier = earlierTroubles.withLock { troubles in
            defer { troubles = [] }
            return troubles
        }
        return earlier + (await session.takeTroubles())
    }

    /// Its address on a network that it has joined.
    public func address(on network: String) -> String? { addresses[network] }

    // MARK: Commands

    /// Runs a command. Another exit status than 0 is a result.
    ///
    /// Throws `GuestTimeout` when it does not end in time, with the guest back at its prompt if it can be brought back;
    /// `GuestLoss`; a `ConsoleError` for a command that no shell can be given; `CancellationError`.
    public func run(
        _ command: GuestCommand, timeout: Duration? = nil, output: @escaping @Sendable (ArraySlice<UInt8>) -> Void
    ) async throws -> CommandResult {
        let patience = timeout ?? limits.timeouts.task
        return try await operate(patience, "the command") { [session] deadline in
            try await session.commands.run(
                command, deadline: deadline, silence: self.limits.silence, output: output)
        }
    }

    /// Waits until the pattern has been said on the kernel console, since the guest came up or since the last such wait.
    ///
    /// Throws `GuestTimeout`, `GuestLoss`, `CancellationError`.
    public func waitForConsole(_ pattern: Pattern, timeout: Duration? = nil) async throws -> PatternMatch {
        let patience = timeout ?? limits.timeouts.task
        do {
            return try await session.whileAlive { [session, limits] in
                guard let match = try await session.said.expect(pattern, deadline: limits.deadline(in: patience)) else {
                    throw session.lose("the console ended")
                }
                return match
            }
        } catch is DeadlineExceeded {
            let cut = session.said.dropped
            let note = cut == 0 ? "" : ", of which the first \(ByteCount(UInt64(cut))) are not kept,"
            throw GuestTimeout(
                what: "the console\(note) did not say /\(pattern.text)/", limit: patience * limits.factor)
        }
    }

    // MARK: The machine

    /// Has the guest reboot itself, or resets it where it does not, and waits until it is ready again. Throws `GuestLoss` when
    /// it does not come back.
    public func reboot(timeout: Duration? = nil) async throws {
        let boot = (timeout ?? limits.timeouts.boot) * limits.factor
        let patience = min(GuestSession.downTime * limits.factor, boot)
        try await hold { [session] in try await session.reboot(patience: patience, boot: boot) }
        knownHosts.withLock { $0 = life.hosts }
    }

    /// Whether it is powered off, so that it can be started again.
    var isOff: Bool { isPoweredOff.withLock { $0 } }

    /// Lets the guest shut itself down and waits until it is off. One that does not in time loses its power, which is told.
    /// Its machine and its disks stay for `start`, until other guests need its room. Throws as `run`.
    public func powerOff(timeout: Duration? = nil) async throws {
        let patience = timeout ?? limits.timeouts.boot
        try await hold { [self] in
            do {
                try await session.powerOff(deadline: limits.deadline(in: patience))
            } catch ConsoleError.deadline {
                session.note(
                    "its power was cut, for it did not power itself off within \((patience * limits.factor).notation); what "
                        + "it had not written to its disks is lost")
                try await session.machine.pause()
            }
            isPoweredOff.withLock { $0 = true }
            life.host.recorder.emit(.guestEnded(guest: name, orderly: true, reason: "powered off"))
        }
    }

    /// Boots a guest that is powered off from the disks that it has, and waits until it is ready. Throws a `Diagnostic` for one
    /// that is not off; `GuestLoss` when it does not come up.
    public func start(timeout: Duration? = nil) async throws {
        let patience = timeout ?? limits.timeouts.boot
        try await turn.acquire()
        defer { turn.release() }
        if let loss { throw loss }
        guard isOff else {
            throw Diagnostic(
                .guest, "\(name) runs already", remedy: "`reboot` boots it anew; `start` is for one that is off")
        }
        let started = ContinuousClock.now
        let recorder = life.host.recorder
        recorder.emit(.guestBooting(guest: name, backend: planned.backend.name, boot: .cold))
        try await session.start(deadline: limits.deadline(in: patience))
        isPoweredOff.withLock { $0 = false }
        hasLeftoverCommand.withLock { $0 = false }
        hasOldTime.withLock { $0 = false }
        knownHosts.withLock { $0 = life.hosts }
        recorder.emit(.guestReady(guest: name, seconds: (ContinuousClock.now - started) / .seconds(1)))
    }

    /// Ends a guest that is off for good, with the reason that is told to who would start it; nothing happens to others.
    func giveUpIfOff(_ reason: String) async {
        guard isOff else { return }
        wantedEnd.fulfil("powered off")
        session.loss.fulfil(GuestLoss(outcome: .error, message: reason, consoleTail: []))
        _ = try? await ended?.wait()
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
        hasOldTime.withLock { $0 = true }
        if turn.isFree { try await hold {} }
    }

    /// Keeps the guest's memory, processes and disks as they are now. It stands still meanwhile, and goes on.
    ///
    /// Throws a `Diagnostic` when its machine cannot do that, and as `run`.
    public func snapshot(timeout: Duration? = nil) async throws -> GuestSnapshot {
        if let obstacle = CloneObstacle(isCloneable: life.image.isCloneable) {
            throw obstacle.diagnostic(planned.group)
        }
        let folder = "\(directory)/snapshot-\(UInt64.random(in: .min ... .max))"
        return try await operate(timeout ?? limits.timeouts.task, "the snapshot") { [self] deadline in
            try FileTree.makeFolder(folder, mode: 0o700)
            do {
                // What is restored from here runs its first command the sooner, and so does this guest.
                try await session.commands.prewarm(deadline: deadline)
                let saved = try await withDeadline(deadline) { [session] in try await session.machine.save(to: folder) }
                // It stood still meanwhile.
                try await setClock()
                return GuestSnapshot(
                    of: planned, saved, image: life.image, cards: networks.cardAddresses(of: number),
                    knownHosts: knownHosts.withLock { $0.lines }, isPrewarmed: session.commands.isPrewarmed,
                    files: OwnedFolder(folder))
            } catch {
                try? FileTree.remove(folder)
                throw error is DeadlineExceeded ? ConsoleError.deadline : error
            }
        }
    }

    /// Becomes what some guest was when the snapshot was taken, with a name, addresses, random numbers and time of its own:
    /// its machine ends, and another goes on from there. What it did since is lost.
    ///
    /// Throws a `Diagnostic` when the snapshot is of another shape of guest; `GuestLoss` when the guest does not come back.
    public func restore(_ snapshot: GuestSnapshot, timeout: Duration? = nil) async throws {
        if let loss { throw loss }
        if let obstacle = snapshot.obstacle(for: planned, cards: networks.cardAddresses(of: number).count) {
            throw Diagnostic(
                .guest, "\(name) cannot go back to the snapshot of \(snapshot.planned.guest.name): it \(obstacle)")
        }
        let patience = timeout ?? limits.timeouts.boot
        try await hold { [self] in
            try await restart { try await life.begin(snapshot, deadline: limits.deadline(in: patience)) }
        }
    }

    /// Makes the guest as it was at its ready point, for who has its turn: a clone of its golden, or one that boots where
    /// there is none. Throws as `restore`.
    func renew() async throws {
        try await restart { try await life.boot(within: limits) }
        isUsed.withLock { $0 = false }
    }

    /// Has what the next `renew` will need started already.
    func prepareRenewal() async {
        // What cannot be made now is told of when it is wanted.
        if let golden = try? await life.golden() {
            life.prepareSpare(golden, deadline: limits.deadline(in: limits.timeouts.boot))
        }
    }

    private func restart(_ begin: () async throws -> GuestSession) async throws {
        let troubles = await session.takeTroubles()
        earlierTroubles.withLock { $0 += troubles }
        do {
            let session = try await begin()
            now.withLock { $0 = session }
        } catch {
            var loss = GuestLoss(of: error)
            if Task.isCancelled { (loss.outcome, loss.message) = (.skipped, "it was interrupted") }
            loss.message = "the guest did not come back from its reset: \(loss.message)"
            hasFailed.fulfil(loss)
            throw Task.isCancelled ? CancellationError() : loss
        }
        hasLeftoverCommand.withLock { $0 = false }
        isResting.withLock { $0 = false }
        knownHosts.withLock { $0 = life.hosts }
    }

    // MARK: One thing after the other

    /// Waits for the guest's attention and keeps it until `leave`. In a cancelled task it may be without: what follows ends
    /// by itself then.
    func enter() async {
        let hasTurn = (try? await turn.acquire()) != nil
        isEntered.withLock { $0 = hasTurn }
        // One that does not wake is lost, as what follows will find.
        if hasTurn { try? await wake() }
    }

    /// Has the guest stand still until something is asked of it. Nothing happens in a cancelled task, and where its machine
    /// cannot.
    func rest() async {
        guard (try? await turn.acquire()) != nil else { return }
        defer { turn.release() }
        guard loss == nil, !Task.isCancelled else { return }
        // A pause that is given up on its way may have been done all the same.
        let rests = (try? await session.machine.pause()) != nil || Task.isCancelled
        isResting.withLock { $0 = rests }
    }

    private func wake() async throws {
        let was = isResting.withLock { resting in
            defer { resting = false }
            return resting
        }
        if was { try await session.wake(deadline: limits.deadline(in: limits.timeouts.task)) }
        let isLate = hasOldTime.withLock { late in
            defer { late = false }
            return late
        }
        if isLate { try await setClock() }
    }

    /// Gives the guest the present time. One that does not take it is told of, and can be used all the same.
    private func setClock() async throws {
        do {
            try await session.setClock(deadline: limits.deadline(in: limits.timeouts.task))
        } catch let problem as Diagnostic {
            life.host.recorder.emit(.note(level: .warning, message: "\(name): \(sentence(of: problem))"))
        }
    }

    /// Gives back what `enter` took.
    func leave() {
        let was = isEntered.withLock { entered in
            defer { entered = false }
            return entered
        }
        if was { turn.release() }
    }

    /// Waits for the guest's attention, and runs `body` for as long as it lives.
    private func hold<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        if let loss { throw loss }
        try await turn.acquire()
        defer { turn.release() }
        if let loss { throw loss }
        guard !isOff else { throw isOffProblem }
        try await wake()
        return try await body()
    }

    /// Asks something of the machine itself, whether or not the guest is busy.
    private func whileRunning(_ body: @escaping @Sendable (any Machine) async throws -> Void) async throws {
        if let loss { throw loss }
        guard !isOff else { throw isOffProblem }
        try await session.whileAlive { [session] in try await body(session.machine) }
    }

    private var isOffProblem: Diagnostic {
        Diagnostic(.guest, "\(name) is powered off", remedy: "`start` boots it again")
    }

    func operate<Result: Sendable>(
        _ patience: Duration, _ what: String,
        _ body: @escaping @Sendable (ContinuousClock.Instant) async throws -> Result
    ) async throws -> Result {
        try await hold { [self] in
            try await tidy()
            do {
                return try await session.whileAlive { try await body(self.limits.deadline(in: patience)) }
            } catch ConsoleError.deadline {
                await endCommand(what)
                throw GuestTimeout(what: "\(what) did not end", limit: patience * limits.factor)
            } catch ConsoleError.silence {
                await endCommand(what)
                throw GuestTimeout(what: "\(what) printed nothing", limit: limits.silence ?? .zero)
            } catch ConsoleError.greetedAgain {
                // The guest is there again: what comes after can have it.
                try await session.becomeReady(deadline: limits.deadline(in: limits.timeouts.boot))
                throw ConsoleError.greetedAgain
            } catch  where Task.isCancelled {
                hasLeftoverCommand.withLock { $0 = true }
                throw CancellationError()
            }
        }
    }

    /// Before an operation: ends what a cancelled one left, and tells the guest of what has changed around it.
    private func tidy() async throws {
        if hasLeftoverCommand.withLock({ $0 }) {
            await endCommand("a cancelled command")
            hasLeftoverCommand.withLock { $0 = false }
            if let loss { throw loss }
        }
        try await updateHosts()
    }
}

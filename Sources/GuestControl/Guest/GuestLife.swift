import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabResults
import LabSpec
import Logging
import Synchronization

/// The machines of one guest, in turn: boots, restores and resets. Exists only inside `with`, which ends the last machine however
/// the body returns.
final class GuestLife: Sendable {
    let number: Int
    let guest: PlannedGuest
    let image: BootableImage
    let fleet: Fleet
    private let hasExchange: Bool
    private let onLoss: @Sendable () async -> Void
    private let log: Logger

    /// One machine.
    private final class Instance: Sendable {
        /// The snapshot to restore; nil to boot.
        let snapshot: GuestSnapshot?
        /// For a spare, a machine prepared in advance: when it must be ready. It is then paused until it is used.
        let spareDeadline: ContinuousClock.Instant?
        /// Its folder, within the run's own, which is in the journal.
        let directory: String
        /// The host names that it has at its ready point, at least.
        let hosts: HostNames
        /// Its session, once it is running.
        let begun = Completion<Result<GuestSession, any Error>>()
        /// Fulfilled to end the machine.
        let isOver = Completion<Void>()
        let isGone = Completion<Void>()
        let ending = Completion<Ending>()

        /// Fulfilled when a spare is ready, or has failed.
        let prepared = Completion<Result<Void, any Error>>()

        init(
            _ snapshot: GuestSnapshot?, spareDeadline: ContinuousClock.Instant?, in directory: String,
            hosts: HostNames
        ) {
            self.snapshot = snapshot
            self.spareDeadline = spareDeadline
            self.directory = directory
            self.hosts = hosts.added(to: snapshot?.knownHosts ?? [])
        }

        var isSpare: Bool { spareDeadline != nil }

        /// Ends the machine, now or as soon as it has started.
        func dismiss(_ ending: Ending) {
            self.ending.fulfil(ending)
            if case .replaced = ending, case .success(let session) = begun.current { session.loss.fulfil(isReplaced) }
            isOver.fulfil()
        }
    }

    private enum Ending: Sendable {
        case lost(GuestLoss)
        case replaced(Instance)
        case ended
    }

    private struct State {
        var current: Instance?
        /// The spare for the next `begin`.
        var spare: Instance?
        /// The number of machines so far.
        var count = 0
    }

    private let state = Mutex(State())
    private let requests: AsyncStream<Instance>
    private let requesting: AsyncStream<Instance>.Continuation

    private init(
        _ number: Int, _ guest: PlannedGuest, _ image: BootableImage, _ fleet: Fleet, hasExchange: Bool,
        onLoss: @escaping @Sendable () async -> Void
    ) {
        self.number = number
        self.guest = guest
        self.image = image
        self.fleet = fleet
        self.hasExchange = hasExchange
        self.onLoss = onLoss
        log = Logger(label: "vmlab.guests", guest: guest.guest.name)
        (requests, requesting) = AsyncStream.makeStream()
    }

    /// Runs `body` with the life of guest `number`, which has no machine yet. `onLoss` is called each time a machine is lost.
    static func with<Result: Sendable>(
        _ number: Int, _ guest: PlannedGuest, image: BootableImage, on fleet: Fleet, hasExchange: Bool,
        onLoss: @escaping @Sendable () async -> Void = {}, body: @Sendable (GuestLife) async -> Result
    ) async -> Result {
        let life = GuestLife(number, guest, image, fleet, hasExchange: hasExchange, onLoss: onLoss)
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // The end of a machine overlaps the start of the next.
                await withDiscardingTaskGroup { machines in
                    for await next in life.requests { machines.addTask { await life.run(next) } }
                }
            }
            let result = await body(life)
            life.dismissAll()
            life.requesting.finish()
            return result
        }
    }

    private func run(_ instance: Instance) async {
        defer { instance.isGone.fulfil() }
        do {
            if instance.isOver.current != nil { throw Self.hasEnded }
            try await fleet.withMachine(
                number, guest, image: image, hasExchange: hasExchange, in: instance.directory,
                snapshot: instance.snapshot, isSpare: instance.isSpare,
                onLoss: { [onLoss] in if self.isCurrent(instance) { await onLoss() } }
            ) { session in
                instance.begun.fulfil(.success(session))
                await withTaskGroup(of: Void.self) { group in
                    if let snapshot = instance.snapshot, let deadline = instance.spareDeadline {
                        group.addTask {
                            instance.prepared.fulfil(await self.prepare(session, snapshot, deadline))
                        }
                    }
                    group.addTask {
                        if let loss = try? await session.loss.wait() { instance.ending.fulfil(.lost(loss)) }
                    }
                    _ = try? await instance.isOver.wait()
                    group.cancelAll()
                }
            }
        } catch {
            instance.begun.fulfil(.failure(error))
            instance.ending.fulfil(.lost(GuestLoss(of: error)))
        }
    }

    /// Starts the guest's first or next machine: a clone of its golden where one is available and the group allows it, else a boot.
    /// Returns once it is ready. Each attempt has the whole boot timeout, and so does making the golden. Throws when the machine
    /// cannot start, and a `GuestLoss` when it is not ready in time.
    func boot(within limits: LiveLimits) async throws -> GuestSession {
        func attempt(_ snapshot: GuestSnapshot?) async throws -> GuestSession {
            try await begin(snapshot, deadline: limits.deadline(in: limits.timeouts.boot))
        }
        guard let golden = try await golden() else { return try await attempt(nil) }
        do {
            return try await attempt(golden)
        } catch let loss as GuestLoss where loss.isHooksDoing {
            throw loss
        } catch  where !Task.isCancelled {
            log.debug("the golden did not work", metadata: ["why": "\(sentence(of: error))"])
            // The golden is discarded whatever the cause, and made again now or for the next guest.
            await fleet.goldens?.distrust(golden, because: sentence(of: error))
            fleet.recorder.emit(
                .note(
                    level: .warning,
                    message:
                        "\(guest.guest.name): the golden snapshot of \(image.name) did not work and is deleted: "
                        + sentence(of: error)))
            let another = guest.group.boot == .clone ? try await self.golden() : nil
            return try await attempt(another)
        }
    }

    /// The snapshot at the ready point for the guest's image and shape; nil when the guest boots instead. Throws when it cannot
    /// be made and the group demands a clone.
    func golden() async throws -> GuestSnapshot? {
        guard guest.group.boot != .cold, let goldens = fleet.goldens else { return nil }
        return try await goldens.snapshot(for: guest, image, cards: fleet.networks.cards(of: number))
    }

    /// Replaces the current machine, if any, by one that is restored from the snapshot or booted. Returns once it is ready.
    /// Throws as `boot`; the guest is then lost and its machine ending.
    func begin(_ snapshot: GuestSnapshot?, deadline: ContinuousClock.Instant) async throws -> GuestSession {
        let started = HostClock.now
        let next = advance(to: snapshot)
        let name = guest.guest.name
        fleet.recorder.emit(
            .guestBooting(guest: name, backend: guest.backend.name, boot: snapshot == nil ? .cold : .clone))
        log.debug(
            next.isSpare ? "takes the prepared machine" : snapshot == nil ? "boots cold" : "starts from a snapshot",
            metadata: [
                "backend": "\(guest.backend.name)", "image": "\(image.name)", "memory": "\(guest.memory)",
                "cpus": "\(guest.group.cpus)",
            ])
        do {
            let session = try await next.begun.wait().get()
            if next.isSpare {
                _ = try await withDeadline(deadline) { try await next.prepared.wait().get() }
                await session.register()
                try await session.wake(deadline: deadline)
                try fleet.networks.plug(number, in: next.directory)
            } else if let snapshot {
                try await resume(session, snapshot, deadline)
                try fleet.networks.plug(number, in: next.directory)
            } else {
                try await session.becomeReady(deadline: deadline)
            }
            if let snapshot, snapshot.isCloned(as: name) {
                // Only now, as it has its place in the networks, too.
                try await session.runHooks(
                    of: image, carried: snapshot.machine.needs?.hooks ?? [], deadline: deadline)
            }
            fleet.recorder.emit(
                .guestReady(guest: name, seconds: (HostClock.now - started) / .seconds(1)))
            log.debug("ready", metadata: ["ms": "\(started.millisecondsAgo)"])
            return session
        } catch {
            log.debug(
                "not ready", metadata: ["ms": "\(started.millisecondsAgo)", "why": "\(sentence(of: error))"])
            // A half-started machine is useless.
            next.dismiss(.lost(GuestLoss(of: error)))
            throw error
        }
    }

    private func resume(
        _ session: GuestSession, _ snapshot: GuestSnapshot, _ deadline: ContinuousClock.Instant
    ) async throws {
        let identity = CloneIdentity(guest.guest.name, number: number, from: snapshot, on: fleet.networks)
        try await session.resume(identity, prewarmed: snapshot.isPrewarmed, deadline: deadline) { [guest] in
            guard snapshot.isCloned(as: guest.guest.name), let needs = snapshot.machine.needs else { return }
            try await session.renew(needs, deadline: deadline)
        }
    }

    /// Gives a prepared machine the guest's identity, except for the clock, warms it up and pauses it.
    private func prepare(
        _ session: GuestSession, _ snapshot: GuestSnapshot, _ deadline: ContinuousClock.Instant
    ) async -> Result<Void, any Error> {
        do {
            try await resume(session, snapshot, deadline)
            try await session.warmUp(deadline: deadline)
            try await session.machine.pause()
            return .success(())
        } catch {
            return .failure(error)
        }
    }

    /// Prepares a machine from the snapshot by `deadline`, so that the next `begin` with this snapshot is fast.
    func prepareSpare(_ snapshot: GuestSnapshot, deadline: ContinuousClock.Instant) {
        let (new, old) = state.withLock { state -> (Instance?, Instance?) in
            if let spare = state.spare, spare.snapshot === snapshot, spare.ending.current == nil { return (nil, nil) }
            let old = state.spare
            state.spare = makeIncarnation(snapshot, spareDeadline: deadline, &state)
            return (state.spare, old)
        }
        old?.dismiss(.ended)
        if let new {
            log.debug("another machine is prepared to take its place")
            start(new)
        }
    }

    private func start(_ instance: Instance) {
        if case .enqueued = requesting.yield(instance) { return }
        // No machine will start any more; fail those that wait for this one.
        instance.begun.fulfil(.failure(Self.hasEnded))
        instance.isGone.fulfil()
    }

    private static let hasEnded = GuestLoss(outcome: .error, message: "the guest has ended", consoleTail: [])
    private static let isReplaced = GuestLoss(
        outcome: .error, message: "the guest went back to a snapshot meanwhile", consoleTail: [])

    /// Ends the current machine and returns when it is gone.
    func end() async {
        for machine in dismissAll() { _ = await machine.isGone.value() }
    }

    /// Waits until the guest is lost unintentionally.
    func lost() async throws -> GuestLoss {
        guard var instance = state.withLock({ $0.current }) else { throw CancellationError() }
        while true {
            switch try await instance.ending.wait() {
            case .lost(let loss): return loss
            case .replaced(let next): instance = next
            case .ended: throw CancellationError()
            }
        }
    }

    /// The entries in the guest's `/etc/hosts` at its ready point.
    var hosts: HostNames { state.withLock { $0.current?.hosts } ?? HostNames() }

    private func isCurrent(_ instance: Instance) -> Bool { state.withLock { $0.current === instance } }

    /// Replaces the current machine by one that is restored from the snapshot or booted.
    private func advance(to snapshot: GuestSnapshot?) -> Instance {
        let (next, former, isNew) = state.withLock { state in
            let former = state.current
            // A spare that has died is not used.
            let spare = state.spare.flatMap { $0.snapshot === snapshot && $0.ending.current == nil ? $0 : nil }
            if spare != nil { state.spare = nil }
            let next = spare ?? makeIncarnation(snapshot, &state)
            state.current = next
            return (next, former, spare == nil)
        }
        former?.dismiss(.replaced(next))
        if isNew { start(next) }
        return next
    }

    private func makeIncarnation(
        _ snapshot: GuestSnapshot?, spareDeadline: ContinuousClock.Instant? = nil, _ state: inout State
    ) -> Instance {
        state.count += 1
        return Instance(
            snapshot, spareDeadline: spareDeadline, in: "\(fleet.journal.directory)/\(number).\(state.count)",
            hosts: fleet.networks.hosts(of: number))
    }

    /// Ends all machines.
    @discardableResult
    private func dismissAll() -> [Instance] {
        let all = state.withLock { state in
            defer { (state.current, state.spare) = (nil, nil) }
            return [state.current, state.spare].compactMap { $0 }
        }
        for machine in all { machine.dismiss(.ended) }
        return all
    }
}

extension GuestLoss {
    package init(of error: any Error) {
        self =
            error as? GuestLoss
            ?? GuestLoss(
                outcome: .error, message: sentence(of: error),
                consoleTail: (error as? Diagnostic).map { $0.notes + [$0.remedy].compactMap { $0 } } ?? [])
    }
}

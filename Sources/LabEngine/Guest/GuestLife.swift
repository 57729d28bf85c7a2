import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabSpec
import Synchronization

/// One guest's machines, one after the other: it boots, goes on from a snapshot, goes back to one, as often as it is asked to.
///
/// Exists only inside `with`, which ends the last machine however the body ends.
final class GuestLife: Sendable {
    let number: Int
    let guest: RunPlan.PlannedGuest
    let image: BootableImage
    let host: GuestHost
    /// Whether it has a disk for copying files.
    private let hasExchange: Bool
    private let onLoss: @Sendable () async -> Void

    /// One machine.
    private final class Incarnation: Sendable {
        /// What it goes on from; nil for one that boots.
        let snapshot: GuestSnapshot?
        /// Its session, once it runs.
        let begun = Completion<Result<GuestSession, any Error>>()
        /// Set when it is to go.
        let isOver = Completion<Bool>()
        /// Set when it is gone.
        let isGone = Completion<Bool>()
        let fate = Completion<Fate>()

        init(_ snapshot: GuestSnapshot?) { self.snapshot = snapshot }
    }

    /// What became of a machine.
    private enum Fate: Sendable {
        case lost(GuestLoss)
        case replaced(Incarnation)
        case ended
    }

    private let current = Mutex<Incarnation?>(nil)
    private let requests: AsyncStream<Incarnation>
    private let requesting: AsyncStream<Incarnation>.Continuation

    private init(
        _ number: Int, _ guest: RunPlan.PlannedGuest, _ image: BootableImage, _ host: GuestHost, hasExchange: Bool,
        onLoss: @escaping @Sendable () async -> Void
    ) {
        self.number = number
        self.guest = guest
        self.image = image
        self.host = host
        self.hasExchange = hasExchange
        self.onLoss = onLoss
        (requests, requesting) = AsyncStream.makeStream()
    }

    /// Runs `body` with the life of guest `number`, which has no machine yet. `onLoss` is called each time a machine is lost.
    static func with<Result: Sendable>(
        _ number: Int, _ guest: RunPlan.PlannedGuest, image: BootableImage, on host: GuestHost, hasExchange: Bool,
        onLoss: @escaping @Sendable () async -> Void = {}, body: @Sendable (GuestLife) async -> Result
    ) async -> Result {
        let life = GuestLife(number, guest, image, host, hasExchange: hasExchange, onLoss: onLoss)
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await next in life.requests { await life.run(next) }
            }
            let result = await body(life)
            life.dismiss(.ended)
            life.requesting.finish()
            return result
        }
    }

    private func run(_ incarnation: Incarnation) async {
        do {
            try await host.withGuest(
                number, guest, image: image, hasExchange: hasExchange, snapshot: incarnation.snapshot, onLoss: onLoss
            ) { session in
                incarnation.begun.fulfil(.success(session))
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        if let loss = try? await session.loss.wait() { incarnation.fate.fulfil(.lost(loss)) }
                    }
                    _ = try? await incarnation.isOver.wait()
                    group.cancelAll()
                }
            }
        } catch {
            incarnation.begun.fulfil(.failure(error))
            incarnation.fate.fulfil(.lost(GuestLoss(of: error)))
        }
        incarnation.isGone.fulfil(true)
    }

    /// Starts the guest's first machine, or the next one: a clone of its golden where there is one to be had and its group
    /// does not want otherwise, else it boots. Returns once it is ready.
    ///
    /// Throws what keeps the machine from starting; a `GuestLoss` when it does not become ready before `deadline`.
    func boot(deadline: ContinuousClock.Instant) async throws -> GuestSession {
        guard let golden = try await golden() else { return try await begin(nil, deadline: deadline) }
        do {
            return try await begin(golden, deadline: deadline)
        } catch  where !Task.isCancelled {
            // Whatever it is, the golden is not worth keeping: a new one is made for the next who asks, or now.
            await host.goldens?.distrust(golden)
            host.recorder.emit(
                .note(
                    level: .warning,
                    message:
                        "\(guest.guest.name): the golden snapshot of \(image.name) did not work and is thrown away: "
                        + sentence(of: error)))
            let another = guest.group.boot == .clone ? try await self.golden() : nil
            return try await begin(another, deadline: deadline)
        }
    }

    /// The snapshot of the guest's image and shape at the ready point; nil where the guest boots instead. Throws what keeps
    /// it from being made when the group wants nothing else.
    func golden() async throws -> GuestSnapshot? {
        guard guest.group.boot != .cold, let goldens = host.goldens else { return nil }
        return try await goldens.snapshot(for: guest, image, cards: host.networks.cards(of: number))
    }

    /// Ends the machine that is there, if any, and has another go on from the snapshot, or boot. Returns once it is ready.
    /// Throws as `boot`; the guest is lost then.
    func begin(_ snapshot: GuestSnapshot?, deadline: ContinuousClock.Instant) async throws -> GuestSession {
        let next = Incarnation(snapshot)
        let former = dismiss(.replaced(next), for: next)
        _ = try await former?.isGone.wait()
        let started = ContinuousClock.now
        requesting.yield(next)
        let session = try await next.begun.wait().get()
        if let snapshot {
            let name = guest.guest.name
            let script = CloneIdentity.script(name, number: number, from: snapshot, on: host.networks)
            try await session.revive(script, deadline: deadline)
            try host.networks.plug(number, in: host.directory(of: number))
        } else {
            try await session.becomeReady(deadline: deadline)
        }
        host.recorder.emit(
            .guestReady(guest: guest.guest.name, seconds: (ContinuousClock.now - started) / .seconds(1)))
        return session
    }

    /// Ends the machine that is there and returns when it is gone.
    func end() async {
        _ = await dismiss(.ended)?.isGone.value()
    }

    /// Waits until the guest is lost without anybody's will.
    func lost() async throws -> GuestLoss {
        guard var incarnation = current.withLock({ $0 }) else { throw CancellationError() }
        while true {
            switch try await incarnation.fate.wait() {
            case .lost(let loss): return loss
            case .replaced(let next): incarnation = next
            case .ended: throw CancellationError()
            }
        }
    }

    /// Tells the machine that is there to go, and puts `next` in its place.
    @discardableResult
    private func dismiss(_ fate: Fate, for next: Incarnation? = nil) -> Incarnation? {
        let former = current.withLock { current in
            defer { current = next }
            return current
        }
        former?.fate.fulfil(fate)
        former?.isOver.fulfil(true)
        return former
    }
}

extension GuestLoss {
    /// The loss that an error comes to.
    init(of error: any Error) {
        self =
            error as? GuestLoss
            ?? GuestLoss(
                outcome: .error, message: sentence(of: error), consoleTail: (error as? Diagnostic)?.notes ?? [])
    }
}

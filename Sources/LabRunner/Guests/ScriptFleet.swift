import Diagnostics
import GuestControl
import HostResources
import HostSystem
import LabResults
import LabSpec
import Logging
import Quantities
import Synchronization

/// Guests that are booted as a script asks for them. All of them are gone when `run` returns, however it does.
public final class ScriptFleet: Sendable {
    /// What a fleet has to boot with.
    public struct Resources: Sendable {
        /// Memory that all guests together may take.
        public var memory: ByteCount
        /// How many guests may run at a time.
        public var slots: Int
        /// How many guests may boot at the same time.
        public var boots: Int
        /// Plans a lab whose guests are to be booted. Throws a `DiagnosticList`.
        public var plan: @Sendable (Lab) throws -> RunPlan
        /// Gets the images of a lab.
        public var images: @Sendable (Lab) async throws -> [String: BootableImage]
        /// Keeps what guests are cloned from; nil boots every guest.
        public var goldens: (any GoldenStoring)?

        /// Resources as given.
        public init(
            memory: ByteCount, slots: Int, boots: Int, plan: @escaping @Sendable (Lab) throws -> RunPlan,
            images: @escaping @Sendable (Lab) async throws -> [String: BootableImage],
            goldens: (any GoldenStoring)? = nil
        ) {
            self.memory = memory
            self.slots = slots
            self.boots = boots
            self.plan = plan
            self.images = images
            self.goldens = goldens
        }
    }

    /// A guest that is to be up.
    private struct Wanted: Sendable {
        let guest: PlannedGuest
        let image: BootableImage
        /// What it goes on from; nil for one that boots.
        var snapshot: GuestSnapshot?
    }

    /// Its way there.
    private struct Request: Sendable {
        let wanted: Wanted
        /// Its number in the run, which it gives back in the end.
        let number: Int
        /// Its place in the order of all boots.
        let place: Int
        /// How long it may wait for room.
        let patience: Duration
        let ready = Completion<Result<LiveGuest, any Error>>()
        /// Set when nobody wants the guest any more.
        let isUnwanted = Completion<Void>()

        var planned: PlannedGuest { wanted.guest }
        var name: String { planned.guest.name }
    }

    private struct State {
        /// All that guests ever had.
        var names: Set<String> = []
        /// By their places in the order of all boots.
        var guests: [Int: LiveGuest] = [:]
        var requests = 0
    }

    private let resources: Resources
    private let limits: LiveLimits
    private let fleet: Fleet
    /// The parts of the script that may boot guests, and end some.
    public let strands = ScriptStrands()
    /// How long what guests that have ended leave may take to be free.
    private static let departure = Duration.seconds(5)
    private let requests: AsyncStream<Request>
    private let requesting: AsyncStream<Request>.Continuation
    private let state = Mutex(State())

    /// A fleet without guests. Their machines and folders are written down in `journal`, which the caller ends afterwards.
    public init(
        resources: Resources, limits: LiveLimits, recorder: RunRecorder, results: RunDirectory, journal: RunJournal
    ) {
        self.resources = resources
        self.limits = limits
        fleet = Fleet(
            Admission(memory: resources.memory, slots: resources.slots), boots: resources.boots, limits: limits,
            networks: LabNetworks(in: journal.directory), goldens: resources.goldens, recorder: recorder,
            results: results, journal: journal)
        (requests, requesting) = AsyncStream.makeStream()
    }

    /// Runs `body`, in which guests may be booted, and ends all guests that are left. One call only.
    public func run<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        defer { fleet.close() }
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                await withDiscardingTaskGroup { guests in
                    for await request in self.requests { guests.addTask { await self.live(request) } }
                    guests.cancelAll()
                }
                return nil
            }
            group.addTask {
                defer { self.requesting.finish() }
                return try await body()
            }
            var result: Result?
            while let next = try await group.next() { result = result ?? next }
            self.fleet.recorder.emit(.admissionEnded(self.fleet.admission.summary))
            guard let result else { throw CancellationError() }
            return result
        }
    }

    /// The running guests, in the order of their boots.
    public var guests: [LiveGuest] {
        state.withLock { $0.guests }.sorted { $0.key < $1.key }.map(\.value)
    }

    /// A group's name, and those of its guests: nobody else's any more.
    public struct Reservation: Sendable {
        /// The group's name.
        public let group: String
        fileprivate let guests: Set<String>

        fileprivate init(_ group: String, count: Int?) {
            self.group = group
            guests = Set(GuestGroup(group, count: count).guests.map(\.name))
        }
    }

    /// Reserves a name like `debian-2` for a group, so that none of its guests has a name that was used before. `count` is the
    /// group's.
    public func reserve(_ stem: String, count: Int?) -> Reservation {
        state.withLock { state in
            var number = 1
            while true {
                let reservation = Reservation("\(stem)-\(number)", count: count)
                if state.names.isDisjoint(with: reservation.guests) {
                    state.names.formUnion(reservation.guests)
                    return reservation
                }
                number += 1
            }
        }
    }

    /// Makes a network, unless there is one of this name. Throws a `Diagnostic`.
    public func addNetwork(_ network: NetworkSpec) throws { try fleet.networks.add(network) }

    /// Boots the guests of a lab, all at once, and returns them in its order when all are ready. Their names are new, or
    /// those of a `reservation` that was made for them.
    ///
    /// Throws a `DiagnosticList` when they cannot be, a `GuestLoss` when one of them does not come up: the others are ended
    /// then.
    public func boot(_ lab: Lab, as reservation: Reservation? = nil) async throws -> [LiveGuest] {
        let plan = try resources.plan(lab)
        try take(plan.guests.map(\.guest.name).filter { reservation?.guests.contains($0) != true })
        let images = try await resources.images(lab)
        for network in lab.networks { try addNetwork(network) }
        return try await start(
            plan.guests.map { guest in
                guard let image = images[guest.group.image] else {
                    throw Diagnostic(.specification, "image \(guest.group.image) is not there")
                }
                return Wanted(guest: guest, image: image)
            })
    }

    /// Makes guests that go on from a snapshot, all at once, and returns them when all are ready: each with an identity of its
    /// own, and what else the guest was then. They are called after it, `web-1`, or as `names` say.
    ///
    /// Throws a `Diagnostic` for a name that was used before, else as `boot`.
    public func clone(_ snapshot: GuestSnapshot, count: Int, names: [String]? = nil) async throws -> [LiveGuest] {
        let original = snapshot.planned
        let names = try names.map { try take($0) } ?? takeFree(original.guest.name, count)
        let guests = names.enumerated().map { index, name in
            var guest = original
            guest.guest = Guest(name: name, group: original.guest.group, index: index + 1)
            return guest
        }
        return try await start(guests.map { Wanted(guest: $0, image: snapshot.image, snapshot: snapshot) })
    }

    /// Names for guests that are to come. Throws a `Diagnostic` when one was used before.
    @discardableResult
    private func take(_ names: [String]) throws -> [String] {
        try state.withLock { state in
            var taken = state.names
            if let twice = names.first(where: { !taken.insert($0).inserted }) {
                throw Diagnostic(
                    .specification, "the guest name \(twice.quoted()) is already in use",
                    remedy: "give each guest a name of its own")
            }
            state.names = taken
            return names
        }
    }

    /// Names like `web-1` that no guest has had.
    private func takeFree(_ stem: String, _ count: Int) -> [String] {
        state.withLock { state in
            var names: [String] = []
            var number = 0
            while names.count < count {
                number += 1
                if state.names.insert("\(stem)-\(number)").inserted { names.append("\(stem)-\(number)") }
            }
            return names
        }
    }

    /// Throws a `Diagnostic` for guests that can never be up at the same time.
    private func start(_ wanted: [Wanted]) async throws -> [LiveGuest] {
        let cost = wanted.reduce(ByteCount(0)) { $0 + $1.guest.cost }
        guard cost <= resources.memory, wanted.count <= resources.slots else {
            let limit =
                cost > resources.memory
                ? "only \(resources.memory) may be used" : "only \(resources.slots) may run at a time"
            throw Diagnostic(
                .specification, "\(wanted.count) guests that are to be up at once need \(cost), but \(limit)",
                remedy: "boot fewer at a time, lower their `memory`, or give the run more with --memory and --jobs")
        }
        let usual = limits.timeouts.boot * limits.factor
        if !fleet.admission.fits(cost, guests: wanted.count) {
            // Those that are off keep their room only as long as nobody needs it.
            for guest in guests {
                await guest.giveUpIfOff("its memory was given to other guests while it was powered off")
            }
        }
        if fleet.admission.fits(cost, guests: wanted.count) { return try await start(wanted, patience: usual) }
        return try await strands.waiting { isLast in
            try await start(wanted, patience: isLast ? Self.departure : usual)
        }
    }

    private func start(_ wanted: [Wanted], patience: Duration) async throws -> [LiveGuest] {
        let numbers = try fleet.networks.join(wanted.map(\.guest))
        let first = state.withLock { state in
            defer { state.requests += wanted.count }
            return state.requests
        }
        let requests = zip(wanted, numbers).enumerated().map { offset, pair in
            Request(wanted: pair.0, number: pair.1, place: first + offset, patience: patience)
        }
        for request in requests { requesting.yield(request) }
        do {
            var guests: [LiveGuest] = []
            for request in requests { guests.append(try await request.ready.wait().get()) }
            return guests
        } catch {
            for request in requests { request.isUnwanted.fulfil() }
            throw error
        }
    }

    // MARK: One guest's life

    private func live(_ request: Request) async {
        let guest = await self.guest(of: request)
        fleet.networks.leave(request.number)
        // Whoever waited for its end finds all free that was its.
        guest?.ended?.fulfil()
    }

    /// Brings a guest up and returns it when it has ended, and given its room back. Nil when it did not come up.
    private func guest(of request: Request) async -> LiveGuest? {
        let (guest, name) = (request.planned, request.name)
        let recorder = fleet.recorder
        recorder.emit(.guestDeclared(guest.description))
        if let obstacle = fleet.admission.obstacle(to: Claim(guest.cost)) {
            recorder.emit(.guestQueued(guest: name, reason: obstacle.words))
        }
        let patience = request.patience
        let log = Logger(label: "vmlab.runner", guest: name)
        guard await hasRoom(request, log) else {
            fail(
                request,
                GuestLoss(
                    outcome: .error,
                    message: patience > Self.departure
                        ? "\(name) needs \(guest.cost), but that much memory was not free within \(patience.notation)"
                        : "\(name) needs \(guest.cost), but \(resources.memory) may be used and the running guests leave no "
                            + "room: end one of them first, as nothing else that runs in the script could",
                    consoleTail: []))
            return nil
        }
        defer { fleet.admission.release(Claim(guest.cost), log: log) }
        do {
            let ended = try await fleet.withGuest(
                request.number, guest, image: request.wanted.image, from: request.wanted.snapshot, isOfFleet: true
            ) { guest in
                await self.serve(guest, request)
                return guest
            }
            if let ended { return ended }
            fail(request, CancellationError())
        } catch {
            fail(request, error)
        }
        return nil
    }

    /// Takes room for a guest within its patience, and while it is wanted. False when there is none; then none is taken.
    private func hasRoom(_ request: Request, _ log: Logger) async -> Bool {
        let taken = Completion<Void>()
        _ = try? await request.isUnwanted.cancelling {
            try await withDeadline(HostClock.now + request.patience) {
                if await self.fleet.admission.acquire(Claim(request.planned.cost), log: log) { taken.fulfil() }
            }
        }
        return taken.current != nil
    }

    /// Lets the script have a guest that is up, until it is done with it, the guest is lost, or all is over.
    private func serve(_ guest: LiveGuest, _ request: Request) async {
        state.withLock { $0.guests[request.place] = guest }
        request.ready.fulfil(.success(guest))
        let reason = await end(of: guest, request)
        state.withLock { $0.guests[request.place] = nil }
        await guest.end(reason.text, orderly: reason.isOrderly)
    }

    private func end(of guest: LiveGuest, _ request: Request) async -> (isOrderly: Bool, text: String) {
        let loss = try? await withThrowingTaskGroup(of: GuestLoss?.self) { group in
            group.addTask { try await guest.lost() }
            group.addTask {
                _ = try await request.isUnwanted.wait()
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        if let wanted = guest.wantedEnd.current { return (true, wanted) }
        guard let loss else {
            return (true, Task.isCancelled ? "the script is done" : "another guest of the same boot failed")
        }
        return (false, loss.message)
    }

    private func fail(_ request: Request, _ error: any Error) {
        let name = request.name
        if error is CancellationError || Task.isCancelled {
            fleet.recorder.emit(.guestEnded(guest: name, orderly: true, reason: "interrupted"))
            request.ready.fulfil(.failure(CancellationError()))
            return
        }
        let loss = GuestLoss(of: error)
        fleet.recorder.emit(
            .guestFailed(guest: name, outcome: loss.outcome, message: loss.message, consoleTail: loss.consoleTail))
        request.ready.fulfil(.failure(loss))
    }
}

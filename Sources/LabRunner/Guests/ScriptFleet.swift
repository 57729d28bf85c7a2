import Diagnostics
import GuestControl
import HostResources
import HostSystem
import LabResults
import LabSpec
import Logging
import Quantities
import Synchronization

/// Guests that a script boots on demand. When `run` returns or throws, all of them have ended.
public final class ScriptFleet: Sendable {
    /// The resources of a fleet.
    public struct Resources: Sendable {
        /// The memory limit for all guests together.
        public var memory: ByteCount
        /// The maximum number of concurrent guests.
        public var slots: Int
        /// The maximum number of concurrent boots.
        public var boots: Int
        /// Plans the lab of the guests to boot. Throws a `DiagnosticList`.
        public var plan: @Sendable (Lab) throws -> RunPlan
        /// Provides the images of a lab.
        public var images: @Sendable (Lab) async throws -> [String: BootableImage]
        /// The golden store; nil boots every guest.
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

    /// A guest to bring up.
    private struct Wanted: Sendable {
        let guest: PlannedGuest
        let image: BootableImage
        /// The snapshot to restore; nil to boot.
        var snapshot: GuestSnapshot?
    }

    private struct Request: Sendable {
        let wanted: Wanted
        /// The guest's number in the run, released at its end.
        let number: Int
        /// The position in the order of all boots.
        let place: Int
        /// How long it may wait for admission.
        let patience: Duration
        let ready = Completion<Result<LiveGuest, any Error>>()
        /// Set when the guest is no longer wanted.
        let isUnwanted = Completion<Void>()

        var planned: PlannedGuest { wanted.guest }
        var name: String { planned.guest.name }
    }

    private struct State {
        /// All names ever used.
        var names: Set<String> = []
        /// By position in the order of all boots.
        var guests: [Int: LiveGuest] = [:]
        var requests = 0
    }

    private let resources: Resources
    private let limits: LiveLimits
    private let fleet: Fleet
    /// The parts of the script that may boot and end guests.
    public let strands = ScriptStrands()
    /// How long resources of ended guests may take to be released.
    private static let departure = Duration.seconds(5)
    private let requests: AsyncStream<Request>
    private let requesting: AsyncStream<Request>.Continuation
    private let state = Mutex(State())

    /// A fleet without guests. Their machines and folders are recorded in `journal`, which the caller ends afterwards.
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

    /// Runs `body`, which may boot guests, and ends all remaining guests. One call only.
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

    /// The running guests, in boot order.
    public var guests: [LiveGuest] {
        state.withLock { $0.guests }.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Names reserved for a group and its guests.
    public struct Reservation: Sendable {
        /// The group's name.
        public let group: String
        fileprivate let guests: Set<String>

        fileprivate init(_ group: String, count: Int?) {
            self.group = group
            guests = Set(GuestGroup(group, count: count).guests.map(\.name))
        }
    }

    /// Reserves a name such as `debian-2` for a group, so that none of its guests reuses a name. `count` is that of the group.
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

    /// Adds a network, unless one of this name exists. Throws a `Diagnostic`.
    public func addNetwork(_ network: NetworkSpec) throws { try fleet.networks.add(network) }

    /// Boots the guests of a lab concurrently and returns them in the lab's order when all are ready. Their names must be new, or
    /// belong to `reservation`. Throws a `DiagnosticList` when the guests cannot be booted, and a `GuestLoss` when one does not
    /// come up; the others are then ended.
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

    /// Clones a snapshot `count` times, and returns the guests when all are ready. Each has an identity of its own and otherwise
    /// the snapshot's state. They are named after the snapshot's guest, such as `web-1`, or by `names`. Throws a `Diagnostic` for a
    /// name already in use, else as `boot`.
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

    /// Claims names for new guests. Throws a `Diagnostic` for a name already used.
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

    /// Claims unused names such as `web-1`.
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

    /// Throws a `Diagnostic` for guests that can never run at the same time.
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
            // Powered-off guests keep their memory only while no other guest needs it.
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

    // MARK: A guest's lifetime

    private func live(_ request: Request) async {
        let guest = await self.guest(of: request)
        fleet.networks.leave(request.number)
        // Fulfilled last, when all of the guest's resources are released.
        guest?.ended?.fulfil()
    }

    /// Brings a guest up and returns it after its end and release. Nil when it did not come up.
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

    /// Waits for admission within the request's patience and while the guest is wanted. False when it was not admitted; nothing
    /// is then taken.
    private func hasRoom(_ request: Request, _ log: Logger) async -> Bool {
        let taken = Completion<Void>()
        _ = try? await request.isUnwanted.cancelling {
            try await withDeadline(HostClock.now + request.patience) {
                if await self.fleet.admission.acquire(Claim(request.planned.cost), log: log) { taken.fulfil() }
            }
        }
        return taken.current != nil
    }

    /// Serves a running guest until the script is done with it, it is lost, or the fleet ends.
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

import Diagnostics
import HostResources
import HostSystem
import LabResults
import LabSpec
import Quantities

/// The shared resources of guests in a run or script: admission, networks, goldens, the journal. Every guest is brought up here.
package struct Fleet: Sendable {
    /// The observers of every machine.
    package var observers: [any MachineObserver]
    let limits: LiveLimits
    package let recorder: RunRecorder
    let results: RunDirectory
    let journal: RunJournal
    package let networks: LabNetworks
    /// The source of clones; nil where every guest boots.
    package let goldens: RunGoldens?
    /// Admits guests.
    package let admission: Admission
    /// Limits concurrent boots.
    package let boots: AsyncSemaphore
    private let shares: GuestShares

    /// A fleet without guests, to be closed with `close`. `groups` are those known in advance.
    package init(
        _ admission: Admission, boots: Int, limits: LiveLimits, networks: LabNetworks, groups: [GuestGroup] = [],
        goldens: (any GoldenStoring)?, recorder: RunRecorder, results: RunDirectory, journal: RunJournal
    ) {
        self.admission = admission
        self.boots = AsyncSemaphore(boots)
        self.limits = limits
        self.networks = networks
        self.recorder = recorder
        self.results = results
        self.journal = journal
        self.goldens = goldens.map { RunGoldens(in: $0, limits: limits, recorder: recorder, journal: journal) }
        shares = GuestShares(groups: groups, journal: journal, recorder: recorder)
        observers = [OutOfMemoryOrder(), shares]
    }

    /// Closes the networks and groups after all guests are gone.
    package func close() {
        networks.close()
        shares.close()
    }

    /// Brings up guest `number`, already admitted, once it may boot: from `snapshot`, or as its group wants. Runs `body` with
    /// it and returns when its last machine is gone. `boot` gets the operation that brings the guest up, and may replace or
    /// wrap it. `onLoss` is called each time a machine is lost.
    ///
    /// Nil when the task is cancelled before its turn; throws when the guest does not come up.
    package func withGuest<Result: Sendable>(
        _ number: Int, _ guest: PlannedGuest, image: BootableImage, from snapshot: GuestSnapshot? = nil,
        hasExchange: Bool = true, isOfFleet: Bool, onLoss: @escaping @Sendable () async -> Void = {},
        boot: @Sendable (_ start: @escaping @Sendable () async throws -> GuestSession) async throws -> GuestSession = {
            try await $0()
        },
        body: @Sendable (LiveGuest) async -> Result
    ) async throws -> Result? {
        try await GuestLife.with(number, guest, image: image, on: self, hasExchange: hasExchange, onLoss: onLoss) {
            life -> Swift.Result<Result?, any Error> in
            guard (try? await boots.acquire()) != nil else { return .success(nil) }
            let session: GuestSession
            do {
                defer { boots.release() }
                session = try await boot {
                    guard let snapshot else { return try await life.boot(within: limits) }
                    return try await life.begin(snapshot, deadline: limits.deadline(in: limits.timeouts.boot))
                }
            } catch {
                return .failure(error)
            }
            return .success(await body(LiveGuest(session, of: life, limits: limits, isOfFleet: isOfFleet)))
        }.get()
    }

    /// Starts a machine of guest `number` in a new folder, which is removed afterwards, records its console, and runs `body` with
    /// it. A prepared machine stays paused until it is used. `hasExchange` adds the exchange disk, where guests support one. A
    /// machine restored from `snapshot` joins its networks only when it is plugged in. Throws when the machine cannot start.
    func withMachine<Result: Sendable>(
        _ number: Int, _ guest: PlannedGuest, image: BootableImage, hasExchange: Bool,
        in directory: String, snapshot: GuestSnapshot? = nil, isSpare: Bool = false,
        onLoss: @escaping @Sendable () async -> Void = {}, body: @Sendable (GuestSession) async -> Result
    ) async throws -> Result {
        let name = guest.guest.name
        let log = results.consoleWriter(name, clock: recorder.clock)
        // If a full disk truncated the console log, the run's other files report it.
        defer { try? log.close() }
        log.append([])
        try FileTree.makeFolder(directory, mode: 0o700)
        defer {
            networks.detach(number, from: directory)
            try? FileTree.remove(directory)
        }
        var configuration = try configuration(number, guest, image, hasExchange: hasExchange, in: directory)
        configuration.restoring = snapshot?.machine
        if snapshot == nil { try networks.plug(number, in: directory) }
        let onNote: @Sendable (String) -> Void = { [recorder] in
            recorder.emit(.note(level: .warning, message: "\(name): \($0)"))
        }
        return try await networks.withOutside(of: number, in: directory, journal: journal, onNote: onNote) {
            try await GuestSession.withGuest(
                guest, number: number, isSpare: isSpare, observers: observers, image: image,
                configuration: configuration,
                journal: journal,
                // A bare-metal guest has no addresses: its commands send frames.
                setup: image.isFreestanding ? nil : networks.setup(of: number),
                log: { log.append($0) }, onNote: onNote, onLoss: onLoss, body: body)
        }
    }

    private func configuration(
        _ number: Int, _ guest: PlannedGuest, _ image: BootableImage, hasExchange: Bool, in directory: String
    ) throws -> MachineConfiguration {
        var exchange: String?
        if image.hasExchangeDisk, hasExchange {
            let path = directory + "/exchange"
            try ExchangeDisk.make(at: path)
            exchange = path
        }
        let name = guest.guest.name
        return MachineConfiguration(
            name: name, image: image, memory: guest.memory, cpus: guest.group.cpus, nested: guest.group.nested,
            disks: guest.group.disks, exchangeDisk: exchange,
            networks: networks.attachments(of: number, in: directory), cmdline: Self.cmdline(of: guest, image),
            directory: directory)
    }

    /// The kernel command line of a guest.
    static func cmdline(of guest: PlannedGuest, _ image: BootableImage) -> String {
        [image.cmdline, "vmlab.guest=\(guest.guest.name)", guest.group.cmdline ?? ""].filter { !$0.isEmpty }
            .joined(separator: " ")
    }
}

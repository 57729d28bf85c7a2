import Diagnostics
import HostSystem
import LabResults
import LabSpec
import Quantities

/// What every guest of a run is brought up with: the run's records and its networks.
struct GuestHost: Sendable {
    /// Who looks after the machines.
    var observers: [any MachineObserver] = [OutOfMemoryOrder()]
    let recorder: RunRecorder
    let results: RunDirectory
    let journal: RunJournal
    let networks: LabNetworks
    /// Where clones come from; nil where every guest boots.
    var goldens: Goldens?

    /// Starts a machine of guest `number` in a new folder, which is removed after it, with its console recorded, and runs `body`
    /// with it. A spare stands still until it is wanted.
    ///
    /// `hasExchange` gives guests that know one a disk for copying files. One that is restored from a `snapshot` is on its
    /// networks only when it is plugged in. Throws what keeps the machine from starting.
    func withGuest<Result: Sendable>(
        _ number: Int, _ guest: RunPlan.PlannedGuest, image: BootableImage, hasExchange: Bool,
        in directory: String, snapshot: GuestSnapshot? = nil, isSpare: Bool = false,
        onLoss: @escaping @Sendable () async -> Void = {}, body: @Sendable (GuestSession) async -> Result
    ) async throws -> Result {
        let name = guest.guest.name
        let log = results.consoleWriter(name, clock: recorder.clock)
        // What a full disk took from a console log, the run's other files will tell.
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
                // A freestanding guest has no addresses: its commands send frames.
                setup: image.isFreestanding ? nil : networks.setup(of: number),
                log: { log.append($0) }, onNote: onNote, onLoss: onLoss, body: body)
        }
    }

    private func configuration(
        _ number: Int, _ guest: RunPlan.PlannedGuest, _ image: BootableImage, hasExchange: Bool, in directory: String
    ) throws -> MachineConfiguration {
        var exchange: String?
        if image.console.announces, hasExchange {
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
    static func cmdline(of guest: RunPlan.PlannedGuest, _ image: BootableImage) -> String {
        [image.cmdline, "vmlab.guest=\(guest.guest.name)", guest.group.cmdline ?? ""].filter { !$0.isEmpty }
            .joined(separator: " ")
    }
}

/// One of the places for booting guests, given back once however often it is released.
final class BootPlace: Sendable {
    private let gate: AsyncSemaphore
    private let released = Completion<Void>()

    /// Waits for a place; nil when the task is cancelled first.
    init?(in gate: AsyncSemaphore) async {
        guard (try? await gate.acquire()) != nil else { return nil }
        self.gate = gate
    }

    func release() {
        if released.fulfil() { gate.release() }
    }
}

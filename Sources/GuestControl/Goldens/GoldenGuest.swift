import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabSpec

/// The guest that is saved as the golden of its image and shape.
struct GoldenGuest: Sendable {
    private let planned: PlannedGuest
    private let image: BootableImage
    private let cards: [NetworkAttachment.Kind]

    init(of guest: PlannedGuest, _ image: BootableImage, cards: [NetworkAttachment.Kind]) {
        var planned = guest
        planned.guest = Guest(name: image.name, group: guest.group.name, index: 1)
        self.planned = planned
        self.image = image
        self.cards = cards
    }

    /// The key of everything the golden depends on; nil when the backend cannot save such a machine.
    func key(version: Int) -> GoldenKey? {
        guard let fingerprint = planned.backend.fingerprint(of: configuration(in: "/golden", saving: "/saved")) else {
            return nil
        }
        let group = planned.group
        return GoldenKey(
            image: image.name, imageID: image.id,
            facts: [
                ("memory", planned.memory.description), ("cpus", "\(group.cpus)"),
                ("disks", group.disks.map(Self.describe).joined(separator: " ")),
                ("networks", cards.map(\.rawValue).joined(separator: " ")), ("cmdline", cmdline),
                ("backend", planned.backend.name), ("machine", fingerprint), ("version", "\(version)"),
            ])
    }

    private static func describe(_ disk: DiskSpec) -> String {
        switch disk {
        case .scratch(let size): return size.description
        case .file(let path, _):
            return "\(path):\(FileStamp(path)?.description ?? "")"
        }
    }

    /// Boots the guest, and saves it at its ready point into `folder`. `directory` is for the machine's files.
    func make(
        in folder: String, workingIn directory: String, journal: RunJournal, deadline: ContinuousClock.Instant
    ) async throws -> SavedMachine {
        try FileTree.makeFolder(directory, mode: 0o700)
        defer { try? FileTree.remove(directory) }
        // A hub for its cards, without other guests.
        let hub = cards.isEmpty ? nil : try EthernetSwitch(path: hub(in: directory))
        defer { hub?.close() }
        let configuration = configuration(in: directory, saving: folder)
        if let exchange = configuration.exchangeDisk { try ExchangeDisk.make(at: exchange) }
        let result = try await withOutside(in: directory, journal: journal) {
            try await GuestSession.withGuest(
                planned, image: image, configuration: configuration, journal: journal,
                // A clone's cards get their addresses later; this checks that the guest has drivers for them.
                setup: cards.isEmpty ? nil : NetworkScript.check(cards.indices.map(Self.mac)),
                log: { _ in }, onNote: { _ in }, onLoss: {}
            ) { await save($0, to: folder, deadline: deadline) }
        }
        return try result.get()
    }

    private func save(
        _ session: GuestSession, to folder: String, deadline: ContinuousClock.Instant
    ) async -> Result<SavedMachine, any Error> {
        do {
            try await session.becomeReady(deadline: deadline)
            let needs = try await session.learnNeeds(forgetting: true, deadline: deadline)
            try await session.prepareForClones(
                CloneIdentity(again: planned.guest.name, os: planned.os), deadline: deadline)
            var saved = try await withDeadline(deadline) { [machine = session.machine] in
                try await machine.save(to: folder)
            }
            saved.needs = needs
            return .success(saved)
        } catch is DeadlineExceeded {
            return .failure(session.lose("the guest was not saved before its boot deadline"))
        } catch {
            return .failure(error)
        }
    }

    /// Runs `body` with outside access for the `nat` card, if any: a system may wait for it while it boots.
    private func withOutside<Result: Sendable>(
        in directory: String, journal: RunJournal, _ body: () async throws -> Result
    ) async throws -> Result {
        guard let index = cards.firstIndex(of: .nat) else { return try await body() }
        return try await OutsideCard(mac: Self.mac(index), in: directory).open(
            of: planned.guest.name, hostPorts: [], journal: journal, onNote: { _ in }, body)
    }

    func snapshot(of golden: any KeptGolden) -> GuestSnapshot {
        GuestSnapshot(
            of: planned, golden.machine, image: image, cards: cards.indices.map(Self.mac),
            isPrewarmed: Dialect.of(image.console).prewarmed != nil, files: golden)
    }

    private var cmdline: String { Fleet.cmdline(of: planned, image) }

    private func configuration(in directory: String, saving folder: String) -> MachineConfiguration {
        MachineConfiguration(
            name: planned.guest.name, image: image, memory: planned.memory, cpus: planned.group.cpus,
            nested: planned.group.nested, disks: planned.group.disks,
            exchangeDisk: image.hasExchangeDisk ? "\(directory)/exchange" : nil,
            networks: cards.enumerated().map { index, kind in
                switch kind {
                case .segment:
                    NetworkAttachment(
                        mac: Self.mac(index), local: "\(directory)/card\(index)", remote: hub(in: directory))
                case .nat: OutsideCard(mac: Self.mac(index), in: directory).attachment
                }
            },
            cmdline: cmdline, directory: directory, goldenFolder: folder)
    }

    private func hub(in directory: String) -> String { "\(directory)/switch" }

    /// An address of a network number that no lab has.
    private static func mac(_ card: Int) -> String { NetworkMap.mac(0xfe, card) }
}

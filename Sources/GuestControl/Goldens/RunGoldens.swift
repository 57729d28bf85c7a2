import Diagnostics
import GuestConsole
import HostResources
import HostSystem
import LabResults
import LabSpec
import Logging
import Quantities
import Synchronization

/// The goldens of one run: each shape of guest is booted once, saved at its ready point, and then cloned.
package final class RunGoldens: Sendable {
    /// The format of goldens, including the programs that wait in them and what is learned of them; a new version makes all of them anew.
    private static let version = 4

    private enum Found: Sendable {
        case snapshot(GuestSnapshot)
        /// It cannot be made, for this reason.
        case nothing(Diagnostic)
    }

    /// The golden of one shape. One guest finds or makes it while others wait.
    private final class Place: Sendable {
        let number: Int
        let turn = AsyncSemaphore()
        let found = Mutex<Found?>(nil)
        let failures = Atomic<Int>(0)

        init(_ number: Int) { self.number = number }
    }

    private let store: any GoldenStoring
    private let limits: LiveLimits
    private let recorder: RunRecorder
    private let journal: RunJournal
    private let places = Mutex<[GoldenKey: Place]>([:])
    private let log = Logger(label: "vmlab.guests")

    /// Goldens from `store`, which is asked once for each shape. Their machines are recorded in `journal`.
    init(in store: any GoldenStoring, limits: LiveLimits, recorder: RunRecorder, journal: RunJournal) {
        self.store = store
        self.limits = limits
        self.recorder = recorder
        self.journal = journal
    }

    /// The golden for a guest with these network cards. Nil when it cannot be cloned, or the golden cannot be made, and the
    /// group does not demand a clone. Throws a `Diagnostic` when the group does, and `CancellationError`.
    func snapshot(
        for guest: PlannedGuest, _ image: BootableImage, cards: [NetworkAttachment.Kind]
    ) async throws -> GuestSnapshot? {
        if let obstacle = CloneObstacle(isCloneable: image.isCloneable) {
            guard guest.group.boot == .clone else {
                say(obstacle, of: image)
                return nil
            }
            throw obstacle.diagnostic(guest.group)
        }
        let golden = GoldenGuest(of: guest, image, cards: cards)
        guard let key = golden.key(version: Self.version) else {
            guard guest.group.boot == .clone else { return nil }
            throw CloneObstacle.backend(guest.backend.name).diagnostic(guest.group)
        }
        let place = places.withLock { places in
            let place = places[key] ?? Place(places.count)
            places[key] = place
            return place
        }
        try await place.turn.acquire()
        defer { place.turn.release() }
        let found: Found
        if let known = place.found.withLock({ $0 }) {
            found = known
        } else {
            found = try await find(golden, key, place.number)
            place.found.withLock { $0 = found }
        }
        switch found {
        case .snapshot(let snapshot): return snapshot
        case .nothing(let problem):
            guard guest.group.boot == .clone else { return nil }
            throw problem
        }
    }

    /// Says once, not in each run, why guests of an image boot although they may be clones. A bare-metal program boots in no time,
    /// so nobody misses its clones.
    private func say(_ obstacle: CloneObstacle, of image: BootableImage) {
        guard !image.isFreestanding else { return }
        let reason = obstacle.reason(image.name)
        let key = GoldenKey(image: image.name, imageID: image.id, facts: [("console", image.console.dialect.rawValue)])
        guard store.remember(key, cannotBeCloned: reason) else { return }
        recorder.emit(.note(level: .info, message: "guests of \(image.name) boot each time: \(reason)"))
    }

    /// Discards a golden that did not work, so that the next guest makes it again. After the second failure this run clones no
    /// more of this shape, since the files are not the cause.
    func distrust(_ snapshot: GuestSnapshot, because reason: String) async {
        let place = places.withLock { places in
            places.values.first { place in
                place.found.withLock { found in
                    guard case .snapshot(let known) = found, known === snapshot else { return false }
                    let isFirst = place.failures.add(1, ordering: .relaxed).newValue == 1
                    found =
                        isFirst
                        ? nil
                        : .nothing(
                            Diagnostic(
                                .guest, "two golden snapshots of the image \(snapshot.image.name) did not work",
                                remedy: "use `boot: cold`", cause: reason))
                    return true
                }
            }
        }
        // Only the guest that removed it discards it.
        if place != nil { await (snapshot.files as? any KeptGolden)?.discard() }
    }

    private func find(_ golden: GoldenGuest, _ key: GoldenKey, _ number: Int) async throws -> Found {
        let begun = ContinuousClock.now
        do {
            let kept: any KeptGolden = try await store.golden(key) { [recorder] news in
                recorder.emit(.imageProgress(image: key.image, step: news, fraction: nil))
            } make: { [recorder, journal, limits, log] folder in
                recorder.emit(.imageProgress(image: key.image, step: "making its golden snapshot", fraction: nil))
                log.debug("golden is made", metadata: Self.metadata(key))
                let machine = try await golden.make(
                    in: folder, workingIn: "\(journal.directory)/golden\(number)", journal: journal,
                    deadline: limits.deadline(in: limits.timeouts.boot))
                recorder.emit(.imageProgress(image: key.image, step: "ready", fraction: 1))
                return machine
            }
            log.debug(
                "golden found",
                metadata: Self.metadata(key).merging([
                    "state": "\(kept.machine.state)", "ms": "\(begun.millisecondsAgo)",
                ]) { $1 })
            return .snapshot(golden.snapshot(of: kept))
        } catch let known as KnownGoldenFailure {
            log.debug(
                "no golden, as before",
                metadata: Self.metadata(key).merging(["why": "\(known.diagnostic.message)"]) { $1 })
            return .nothing(Self.problem(key, known.diagnostic))
        } catch  where !Task.isCancelled {
            log.debug(
                "no golden", metadata: Self.metadata(key).merging(["why": "\(sentence(of: error))"]) { $1 })
            let problem = Self.problem(key, error)
            recorder.emit(.note(level: .warning, message: sentence(of: problem)))
            return .nothing(problem)
        }
    }

    private static func problem(_ key: GoldenKey, _ error: any Error) -> Diagnostic {
        Diagnostic(
            .guest, "no golden snapshot of the image \(key.image) could be made",
            remedy: (error as? Diagnostic)?.remedy, cause: sentence(of: error),
            notes: (error as? GuestLoss)?.consoleTail ?? (error as? Diagnostic)?.notes ?? [])
    }

    private static func metadata(_ key: GoldenKey) -> Logger.Metadata {
        ["image": "\(key.image)", "shape": "\(key.facts.map { "\($0.name)=\($0.value)" }.joined(separator: " "))"]
    }
}

import Diagnostics
import Glibc
import HostSystem
import JSONText
import LabEngine
import Synchronization

/// Keeps a QEMU's memory, devices and disks in files, and lets another one go on from there, by what QEMU calls migration.
struct QEMUSaver: Sendable {
    /// How long QEMU may take to write or read its state. 5 GiB of memory take 10 s from a page cache.
    private static let patience = Duration.seconds(300)

    /// The files that the guest writes to, by their places.
    private let disks: [Int: SavedMachine.Disk]

    /// For a machine with these disks.
    init(drives: [QEMUDrive]) {
        disks = Dictionary(
            uniqueKeysWithValues: drives.enumerated().filter { $0.element.preparation != .none }.map {
                ($0.offset, SavedMachine.Disk(path: $0.element.path, format: $0.element.format))
            })
    }

    /// See `Machine.save`.
    func save(_ monitor: QMPClient, _ migration: MigrationWatch, to folder: String) async throws -> SavedMachine {
        let wasRunning = try await monitor.execute("query-status")["running"] == .bool(true)
        do {
            if wasRunning { try await monitor.execute("stop") }
            let saved = try await saveStopped(monitor, migration, to: folder)
            try await goOn(monitor, wasRunning)
            return saved
        } catch {
            // Also in a cancelled task, and when the state is still being written.
            await Task.detached {
                _ = try? await monitor.execute("migrate_cancel")
                _ = try? await migration.end(within: .seconds(10))
                try? await goOn(monitor, wasRunning)
            }.value
            if let error = error as? QMPError {
                throw Diagnostic(.host, "the guest's state could not be saved", cause: error.description)
            }
            if let error = error as? SystemCallError { throw error.diagnostic("the guest's state could not be saved") }
            throw error
        }
    }

    /// After a migration QEMU has let go of its disks; `cont` takes them back.
    ///
    /// The end of a migration is told a moment before QEMU is done with it, and no event tells of that: until then it is in a
    /// state of its own, in which it refuses to go on. Each question waits for the lock that QEMU holds for the last steps.
    private func goOn(_ monitor: QMPClient, _ wasRunning: Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try await monitor.execute("query-status")["status"]?.text == "finish-migrate" {
            guard ContinuousClock.now < deadline else { throw QMPError.silent(command: "migrate") }
        }
        try await monitor.execute("cont")
        if !wasRunning { try await monitor.execute("stop") }
    }

    private func saveStopped(
        _ monitor: QMPClient, _ migration: MigrationWatch, to folder: String
    ) async throws -> SavedMachine {
        var saved = SavedMachine(state: "\(folder)/state")
        let file = try OwnedDescriptor.open(saved.state, O_WRONLY | O_CREAT | O_EXCL)
        try await Self.tellEnds(monitor)
        // Bytes a second; the default is that of a network.
        try await monitor.execute("migrate-set-parameters", ["max-bandwidth": .integer(1 << 40)])
        try await monitor.give(file, as: "state")
        migration.begin()
        try await monitor.execute("migrate", ["uri": "fd:state"])
        try await Self.expectCompletion(monitor, migration)
        // What QEMU held back of its disks has been written by now.
        for (place, disk) in disks {
            let copy = SavedMachine.Disk(path: "\(folder)/disk\(place)", format: disk.format)
            try await Tool.run(
                "cp", ["--sparse=auto", "--reflink=auto", disk.path, copy.path], package: "coreutils"
            ).checked("the guest's disks could not be saved")
            saved.disks[place] = copy
        }
        return saved
    }

    /// Lets a QEMU that was started with `-incoming defer` go on from a saved state. Throws `QMPError`.
    static func restore(_ monitor: QMPClient, _ migration: MigrationWatch, from source: String) async throws {
        try await tellEnds(monitor)
        // A machine that moves tells the network where it is now; this one is another.
        try await monitor.execute("migrate-set-parameters", ["announce-rounds": 0])
        migration.begin()
        try await monitor.execute("migrate-incoming", ["uri": .string(source)])
        try await expectCompletion(monitor, migration)
        try await monitor.execute("cont")
    }

    /// Makes migrations' progress events.
    private static func tellEnds(_ monitor: QMPClient) async throws {
        try await monitor.execute(
            "migrate-set-capabilities", ["capabilities": [["capability": "events", "state": true]]])
    }

    private static func expectCompletion(_ monitor: QMPClient, _ migration: MigrationWatch) async throws {
        let end: String
        do {
            end = try await migration.end(within: patience)
        } catch is DeadlineExceeded {
            throw QMPError.silent(command: "migrate")
        }
        switch end {
        case "completed": return
        case "closed": throw QMPError.closed
        default:
            let report = try? await monitor.execute("query-migrate")
            throw QMPError.refused(
                command: "migrate", class: "GenericError", description: report?["error-desc"]?.text ?? end)
        }
    }
}

/// Hears how migrations end, one at a time.
final class MigrationWatch: Sendable {
    private let state = Mutex<(isClosed: Bool, end: Completion<String>?)>((false, nil))

    /// A migration begins.
    func begin() {
        state.withLock { state in
            let end = Completion<String>()
            if state.isClosed { end.fulfil("closed") }
            state.end = end
        }
    }

    /// It has got this far; `closed` when nothing more will be heard.
    func hear(_ status: String) {
        guard ["completed", "failed", "cancelled", "closed"].contains(status) else { return }
        let end = state.withLock { state in
            if status == "closed" { state.isClosed = true }
            return state.end
        }
        end?.fulfil(status)
    }

    /// How the last one that began ended; `completed` when none did. Throws `DeadlineExceeded` and `CancellationError`.
    func end(within patience: Duration) async throws -> String {
        guard let end = state.withLock({ $0.end }) else { return "completed" }
        return try await withDeadline(.now + patience) { try await end.wait() }
    }
}

/// A saved state that is open for reading.
final class SavedState: Sendable {
    private let file: OwnedDescriptor

    /// Opens the file. Throws a `Diagnostic`.
    init(opening path: String) throws {
        do throws(SystemCallError) {
            file = try OwnedDescriptor.open(path, O_RDONLY)
        } catch {
            throw error.diagnostic("the saved guest could not be restored")
        }
    }

    /// Valid while this lives.
    var descriptor: Int32 { file.number }
}

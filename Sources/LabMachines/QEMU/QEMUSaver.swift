import Diagnostics
import Glibc
import HostSystem
import JSON
import GuestControl
import QMP

/// Saves a QEMU machine's memory, devices and disks, and restores them in another, by migration to and from files.
struct QEMUSaver: Sendable {
    /// The time limit for saving or restoring. 5 GiB of memory take 10 s from the page cache.
    private static let patience = Duration.seconds(300)

    /// The files that the guest writes to, by disk index.
    private let disks: [Int: SavedMachine.Disk]
    private let memory: QEMUMemory
    /// The end of the migration in progress.
    let migration = MigrationWatch()

    init(drives: [QEMUDrive], memory: QEMUMemory) {
        disks = Dictionary(
            uniqueKeysWithValues: drives.enumerated().filter { $0.element.preparation != .none }.map {
                ($0.offset, SavedMachine.Disk(path: $0.element.path, format: $0.element.format))
            })
        self.memory = memory
    }

    func save(_ monitor: QMPClient, to folder: String) async throws -> SavedMachine {
        try await QEMUDialect.saving {
            if case .kept(let file) = memory, file.hasPrefix("\(folder)/") {
                return try await saveForGood(monitor, memory: file, to: folder)
            }
            return try await saveAndGoOn(monitor, to: folder)
        }
    }

    /// For memory that stays in its file: it must not change from here on, so the machine stays stopped. The machine is not stopped
    /// beforehand: the state then records it as running, and restored machines run without `cont`.
    private func saveForGood(
        _ monitor: QMPClient, memory: String, to folder: String
    ) async throws -> SavedMachine {
        var saved = SavedMachine(state: "\(folder)/state", memory: memory)
        try await writeState(monitor, to: saved.state, withMemory: false)
        saved.disks = try await copyDisks(to: folder)
        // Zeroed pages become holes. Without holes in the file system, or without the tool, the file is only larger.
        _ = try? await Tool.run("fallocate", ["--dig-holes", memory], package: "util-linux")
        try Task.checkCancellation()
        return saved
    }

    private func saveAndGoOn(
        _ monitor: QMPClient, to folder: String
    ) async throws -> SavedMachine {
        let wasRunning = try await monitor.status() == .running
        do {
            if wasRunning { try await monitor.execute(.stop) }
            var saved = SavedMachine(state: "\(folder)/state")
            try await writeState(monitor, to: saved.state, withMemory: true)
            saved.disks = try await copyDisks(to: folder)
            try await goOn(monitor, wasRunning)
            return saved
        } catch {
            // Also in a cancelled task, and while the state is still being written.
            await Task.detached {
                _ = try? await monitor.execute("migrate_cancel")
                _ = try? await migration.end(within: .seconds(10))
                try? await goOn(monitor, wasRunning)
            }.value
            throw error
        }
    }

    /// A migration releases QEMU's disks; `cont` takes them back. QEMU reports the end a moment before it has finished, without an
    /// event for the latter, and refuses `cont` while in `finish-migrate`. Each status query waits for the lock that QEMU holds for
    /// the last steps.
    private func goOn(_ monitor: QMPClient, _ wasRunning: Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try await monitor.status() == .finishMigrate {
            guard ContinuousClock.now < deadline else { throw QMPError.silent(command: "migrate") }
        }
        try await monitor.execute(.resume)
        if !wasRunning { try await monitor.execute(.stop) }
    }

    private func writeState(
        _ monitor: QMPClient, to path: String, withMemory: Bool
    ) async throws {
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL)
        let prepared = monitor.send(Self.capabilities(withMemory: withMemory))
        // Bytes per second; the default is meant for a network.
        try await monitor.execute("migrate-set-parameters", ["max-bandwidth": .integer(1 << 40)])
        try await prepared.value()
        try await monitor.give(file, as: "state")
        migration.begin()
        try await monitor.execute("migrate", ["uri": "fd:state"])
        try await expectCompletion(monitor)
    }

    /// Copies the disks after the state: the migration has flushed them by then.
    private func copyDisks(to folder: String) async throws -> [Int: SavedMachine.Disk] {
        var copies: [Int: SavedMachine.Disk] = [:]
        for (place, disk) in disks {
            let copy = SavedMachine.Disk(path: "\(folder)/disk\(place)", format: disk.format)
            try await QEMUDialect.copyDisk(disk.path, to: copy.path)
            copies[place] = copy
        }
        return copies
    }

    /// The commands that restore a saved state in a QEMU started with `-incoming defer`; `withMemory` when the state includes the
    /// memory. QEMU reads commands byte by byte, at ten microseconds each, so they are kept short.
    static func orders(from source: String, withMemory: Bool) -> [QMPCommand] {
        [capabilities(withMemory: withMemory), QMPCommand("migrate-incoming", ["uri": .string(source)])]
    }

    /// Waits until a QEMU that was given these commands has resumed; `migration` has begun. Throws a `Diagnostic`; the process
    /// is then unusable.
    func restore(_ process: MachineProcess) async throws {
        do {
            for answer in process.answers { try await answer.value(timeout: Self.patience) }
            try await expectCompletion(process.monitor)
            // A state saved while running resumes without a command; this is for one saved while stopped.
            if !migration.isResumed { try await process.monitor.execute(.resume) }
        } catch let error as QMPError {
            // QEMU prints the reason and exits; the event may arrive before the exit.
            _ = try? await withDeadline(.now + .seconds(2)) { try await process.child.wait() }
            throw Diagnostic(
                .host, "the saved guest could not be restored", cause: error.description,
                notes: process.child.standardError.suffix(8))
        }
    }

    /// Enables migration events, and sets whether memory in a file of its own is left out.
    private static func capabilities(withMemory: Bool) -> QMPCommand {
        QMPCommand(
            "migrate-set-capabilities",
            [
                "capabilities": [
                    ["capability": "events", "state": true],
                    // Set in both cases: an earlier migration may have enabled it.
                    ["capability": "x-ignore-shared", "state": .bool(!withMemory)],
                ]
            ])
    }

    private func expectCompletion(_ monitor: QMPClient) async throws {
        let end: MigrationWatch.End
        do {
            end = try await migration.end(within: Self.patience)
        } catch is DeadlineExceeded {
            throw QMPError.silent(command: "migrate")
        }
        switch end {
        case .completed: return
        case .closed: throw QMPError.closed
        case .failed, .cancelled:
            let report = try? await monitor.execute("query-migrate")
            throw QMPError.refused(command: "migrate", QMPRefusal(report?["error-desc"]?.stringValue ?? end.rawValue))
        }
    }
}

/// A saved state, open for reading.
final class SavedState: Sendable {
    private let file: OwnedDescriptor

    init(opening path: String) throws {
        do throws(SystemCallError) {
            file = try OwnedDescriptor.open(path, O_RDONLY)
        } catch {
            throw error.diagnostic("the saved guest could not be restored")
        }
    }

    var descriptor: Int32 { file.number }
}

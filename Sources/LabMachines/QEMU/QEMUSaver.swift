import Diagnostics
import Glibc
import HostSystem
import JSON
import GuestControl
import QMP

/// Keeps a QEMU's memory, devices and disks in files, and lets another one go on from there, by what QEMU calls migration.
struct QEMUSaver: Sendable {
    /// How long QEMU may take to write or read its state. 5 GiB of memory take 10 s from a page cache.
    private static let patience = Duration.seconds(300)

    /// The files that the guest writes to, by their places.
    private let disks: [Int: SavedMachine.Disk]
    private let memory: QEMUMemory
    /// How the migration that is on its way ends.
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

    /// The machine's memory stays where it is. From here on it must not change: the machine stands still.
    ///
    /// It is not stopped first: then the state tells that it ran, and who is restored from it goes on by itself.
    private func saveForGood(
        _ monitor: QMPClient, memory: String, to folder: String
    ) async throws -> SavedMachine {
        var saved = SavedMachine(state: "\(folder)/state", memory: memory)
        try await writeState(monitor, to: saved.state, withMemory: false)
        saved.disks = try await copyDisks(to: folder)
        // What the guest has had and cleared is as good as what it never had. Where the file system has no holes, or the
        // host no such tool, the file is larger, no more.
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
            // Also in a cancelled task, and when the state is still being written.
            await Task.detached {
                _ = try? await monitor.execute("migrate_cancel")
                _ = try? await migration.end(within: .seconds(10))
                try? await goOn(monitor, wasRunning)
            }.value
            throw error
        }
    }

    /// After a migration QEMU has let go of its disks; `cont` takes them back.
    ///
    /// The end of a migration is told a moment before QEMU is done with it, and no event tells of that: until then it is in a
    /// state of its own, in which it refuses to go on. Each question waits for the lock that QEMU holds for the last steps.
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
        // Bytes a second; the default is that of a network.
        try await monitor.execute("migrate-set-parameters", ["max-bandwidth": .integer(1 << 40)])
        try await prepared.value()
        try await monitor.give(file, as: "state")
        migration.begin()
        try await monitor.execute("migrate", ["uri": "fd:state"])
        try await expectCompletion(monitor)
    }

    /// Copies the disks once the state is written: what QEMU held back of them has been written by then.
    private func copyDisks(to folder: String) async throws -> [Int: SavedMachine.Disk] {
        var copies: [Int: SavedMachine.Disk] = [:]
        for (place, disk) in disks {
            let copy = SavedMachine.Disk(path: "\(folder)/disk\(place)", format: disk.format)
            try await QEMUDialect.copyDisk(disk.path, to: copy.path)
            copies[place] = copy
        }
        return copies
    }

    /// What makes a QEMU that was started with `-incoming defer` read a saved state, of which its memory is a part or not.
    ///
    /// QEMU takes what it is told byte by byte, at ten microseconds each: the fewer words the better.
    static func orders(from source: String, withMemory: Bool) -> [QMPCommand] {
        [capabilities(withMemory: withMemory), QMPCommand("migrate-incoming", ["uri": .string(source)])]
    }

    /// Waits until a QEMU goes on that was given these orders; `migration` has begun. Throws a `Diagnostic`; the process is of
    /// no use then.
    func restore(_ process: MachineProcess) async throws {
        do {
            for answer in process.answers { try await answer.value(timeout: Self.patience) }
            try await expectCompletion(process.monitor)
            // A state that was saved from a running machine runs; this is for those that stood still.
            if !migration.isResumed { try await process.monitor.execute(.resume) }
        } catch let error as QMPError {
            // It says why on standard error and then ends; what comes first here is a matter of chance.
            _ = try? await withDeadline(.now + .seconds(2)) { try await process.child.wait() }
            throw Diagnostic(
                .host, "the saved guest could not be restored", cause: error.description,
                notes: process.child.standardError.suffix(8))
        }
    }

    /// Makes a migration's progress events, and says whether memory that is in a file of its own goes with it.
    private static func capabilities(withMemory: Bool) -> QMPCommand {
        QMPCommand(
            "migrate-set-capabilities",
            [
                "capabilities": [
                    ["capability": "events", "state": true],
                    // Also when it is not: it may have been for the migration before.
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

/// A saved state that is open for reading.
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

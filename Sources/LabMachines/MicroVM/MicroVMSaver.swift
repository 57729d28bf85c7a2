import Diagnostics
import Glibc
import HostSystem
import GuestControl
import QMP

/// Saves a vmlab-vmm machine. The monitor writes all files but the machine's own disks. In the folder, `state` is the snapshot,
/// `state.memory` its memory, `state.disk0` and so on are the overlays, which vmlab-vmm expects next to the state; `disk0` and so
/// on are the machine's own disks.
struct MicroVMSaver: MachineDialect {
    /// The time limit for writing a machine's memory.
    private static let patience = Duration.seconds(300)

    private let disks: [MicroVMDisk]
    private let golden: String?
    /// The folder that vmlab-vmm may write to: its sandbox is set up before the state's final folder is known.
    private let directory: String

    static func state(in folder: String) -> String { "\(folder)/state" }
    static func memory(in folder: String) -> String { state(in: folder) + ".memory" }

    init(_ configuration: MachineConfiguration, disks: [MicroVMDisk]) {
        self.disks = disks
        golden = configuration.goldenFolder
        directory = configuration.directory
    }

    func save(_ monitor: QMPClient, to folder: String) async throws -> SavedMachine {
        let saved = SavedMachine(state: Self.state(in: folder), memory: Self.memory(in: folder))
        return try await Self.saving {
            if folder == golden { return try await saveForGood(monitor, saved, to: folder) }
            return try await saveAndGoOn(monitor, saved, to: folder)
        }
    }

    /// For memory that is already in its file: the machine stays stopped.
    private func saveForGood(
        _ monitor: QMPClient, _ saved: SavedMachine, to folder: String
    ) async throws -> SavedMachine {
        try await write(monitor, to: saved.state)
        var saved = saved
        saved.disks = try await keepDisks(in: folder)
        return saved
    }

    private func saveAndGoOn(
        _ monitor: QMPClient, _ saved: SavedMachine, to folder: String
    ) async throws -> SavedMachine {
        let wasRunning = try await monitor.status() == .running
        var saved = saved
        do {
            // Stopped first, so that the disks are from the same moment.
            if wasRunning { try await monitor.execute(.stop) }
            try await write(monitor, to: Self.state(in: directory))
            try await moveState(to: folder)
            saved.disks = try await keepDisks(in: folder)
            if wasRunning { try await monitor.execute(.resume) }
            return saved
        } catch {
            // Also in a cancelled task. The machine answers once it has finished writing.
            await Task.detached {
                if wasRunning { _ = try? await monitor.execute(.resume, timeout: Self.patience) }
                for name in (try? stateFiles()) ?? [] { try? FileTree.remove("\(directory)/\(name)") }
            }.value
            throw error
        }
    }

    private func write(_ monitor: QMPClient, to path: String) async throws {
        try await monitor.execute(
            .saveSnapshot, [QMPCommand.Argument.path: .string(path)], timeout: Self.patience)
    }

    private func stateFiles() throws(SystemCallError) -> [String] {
        try FileTree.names(in: directory).filter { $0 == "state" || $0.hasPrefix("state.") }
    }

    private func moveState(to folder: String) async throws {
        for name in try stateFiles() {
            let (source, target) = ("\(directory)/\(name)", "\(folder)/\(name)")
            if rename(source, target) == 0 { continue }
            // Another file system.
            guard errno == EXDEV else { throw SystemCallError("rename", target) }
            try await Tool.run("mv", [source, target], package: "coreutils")
                .checked("the guest's state could not be moved to \(folder)")
        }
    }

    private func keepDisks(in folder: String) async throws -> [Int: SavedMachine.Disk] {
        var kept: [Int: SavedMachine.Disk] = [:]
        for (place, disk) in disks.enumerated() where disk.keeping != .none {
            let copy = SavedMachine.Disk(path: "\(folder)/disk\(place)", format: .raw)
            // A disk that is never written to can be hard-linked.
            if disk.keeping == .copied || link(disk.path, copy.path) != 0 {
                try await Self.copyDisk(disk.path, to: copy.path)
            }
            kept[place] = copy
        }
        return kept
    }
}

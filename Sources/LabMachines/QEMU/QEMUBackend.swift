import Diagnostics
import HostSystem
import GuestControl
import LabImages
import LabSpec
import Logging
import Quantities

/// Machines in QEMU: any guest, on any host.
public struct QEMUBackend: MachineBackend {
    /// What runs the guests' instructions.
    public enum Acceleration: Sendable, Hashable {
        /// The host's processor where its KVM really is hardware, else emulation.
        case automatic
        /// Emulation, whatever the host has.
        case emulated
        /// KVM, whatever the probe says.
        case kvm
    }

    /// The oldest QEMU whose options are used here.
    public static let oldestVersion = QEMUVersion(major: 7, minor: 0)

    /// `qemu-kvm` or `qemu-tcg`.
    public var name: String { commandLine.accelerator == .kvm ? "qemu-kvm" : "qemu-tcg" }

    /// The program's path.
    public let executable: String

    let commandLine: QEMUCommandLine

    /// Finds QEMU and chooses the accelerator. Its version is asked for only when a guest does not start: that takes as
    /// long as the rest of vmlab's own start.
    ///
    /// Throws a `Diagnostic` with the Debian package when QEMU is missing.
    public init(acceleration: Acceleration = .automatic, probe: KVMProbe? = nil) throws {
        try Tool.require(["qemu-system-x86_64": "qemu-system-x86"])
        let accelerator: QEMUCommandLine.Accelerator
        switch acceleration {
        case .emulated: accelerator = .tcg
        case .kvm: accelerator = .kvm
        case .automatic:
            if case .hardware = probe ?? KVMProbe.run() { accelerator = .kvm } else { accelerator = .tcg }
        }
        self.init(
            executable: Tool.find("qemu-system-x86_64") ?? "/usr/bin/qemu-system-x86_64", accelerator: accelerator)
    }

    /// A backend whose QEMU is this program.
    init(executable: String, accelerator: QEMUCommandLine.Accelerator) {
        self.executable = executable
        commandLine = QEMUCommandLine(accelerator: accelerator)
    }

    /// Asks the program for its version. Throws a `Diagnostic` when it does not tell or is too old.
    public func version() async throws -> QEMUVersion {
        let result = try await Tool.run(executable, ["--version"], package: "qemu-system-x86")
        guard let version = QEMUVersion(parsing: result.text) else {
            throw Diagnostic(
                .host, "qemu-system-x86_64 does not report its version", cause: result.errors.last ?? result.text)
        }
        try require(Self.oldestVersion, having: version, for: "vmlab")
        return version
    }

    private func require(_ oldest: QEMUVersion, having version: QEMUVersion, for what: String) throws {
        guard version < oldest else { return }
        throw Diagnostic(
            .host, "QEMU \(version) is too old: \(what) needs \(oldest) or later",
            remedy: "on Debian 12 or later: `apt-get install qemu-system-x86`")
    }

    /// What QEMU costs beyond the guest's RAM: see `MeasuredOverhead`.
    public func overhead(memory: ByteCount, cpus: Int) -> ByteCount {
        MeasuredOverhead.of(commandLine.accelerator, cpus: cpus)
    }

    /// Starts a guest. See the protocol.
    public func start(_ configuration: MachineConfiguration) async throws -> any Machine {
        let drives = try QEMUDrive.all(of: configuration) { path, format throws(Diagnostic) in
            try DiskChain(reading: path, as: format, within: .everything)
        }
        let files = drives.filter { $0.preparation != .none }.map(\.path)
        let memory = QEMUMemory(of: configuration)
        try memory.prepare(mebibytes: QEMUCommandLine.mebibytes(configuration))
        do {
            for drive in drives { try await prepare(drive) }
            return try await launch(configuration, drives, files)
        } catch {
            for file in files { try? FileTree.remove(file) }
            if case .kept(let path) = memory { try? FileTree.remove(path) }
            throw error
        }
    }

    private func prepare(_ drive: QEMUDrive) async throws {
        switch drive.preparation {
        case .none: break
        case .overlay(let base, let format):
            let size = try await drive.chain.base?.sizeByTool()
            try QCow2Overlay(over: base, format, size: size).write(to: drive.path)
        case .sparse(let bytes):
            do throws(SystemCallError) {
                try FileTree.makeSparseFile(drive.path, size: bytes)
            } catch {
                throw error.diagnostic("cannot make the scratch disk \(drive.path)")
            }
        }
    }

    private func launch(
        _ configuration: MachineConfiguration, _ drives: [QEMUDrive], _ files: [String]
    ) async throws -> SupervisedMachine {
        let what = "cannot start the guest \(configuration.name)"
        do {
            let state = try configuration.restoring.map { try SavedState(opening: $0.state) }
            defer { withExtendedLifetime(state) {} }
            let memory = QEMUMemory(of: configuration)
            let process = try await MachineProcess.start(
                executable, commandLine.arguments(for: configuration, drives: drives),
                log: Logger(label: "vmlab.machines", guest: configuration.name),
                inherited: state.map { [QEMUCommandLine.savedState: $0.descriptor] } ?? [:],
                keys: QEMUCommandLine.hasKeys(configuration) ? QEMUCommandLine.keys : nil,
                orders: state == nil
                    ? []
                    : QEMUSaver.orders(
                        from: "fd:\(QEMUCommandLine.savedState)", withMemory: memory.file == nil),
                // Its RAM has none anyway; elsewhere 3 of 31 MiB are spared without them, with no loss that could be measured.
                hasSmallPages: state != nil && memory.file != nil)
            let saver = QEMUSaver(drives: drives, memory: memory)
            // Before anything of it is heard.
            if state != nil { saver.migration.begin() }
            let machine = SupervisedMachine(process, files: files, dialect: QEMUDialect(saver))
            if state != nil {
                do {
                    try await saver.restore(process)
                } catch {
                    await machine.end()
                    throw error
                }
            }
            return machine
        } catch MachineProcess.Failure.notStarted(let error) {
            throw error.diagnostic(what)
        } catch MachineProcess.Failure.silent(let lines) {
            throw MachineProcess.Failure.silence(what, of: "QEMU", lines)
        } catch MachineProcess.Failure.ended(let status, let lines) {
            // What an old QEMU does not know is better said by its number than by the option.
            let version = try await version()
            if !configuration.networks.isEmpty {
                try require(QEMUVersion(major: 7, minor: 2), having: version, for: "a guest on a network")
            }
            throw Diagnostic(
                .host, what, remedy: MachineProcess.Failure.remedy(for: lines),
                cause: MachineProcess.Failure.cause("QEMU", status, lines), notes: Array(lines.suffix(8)))
        }
    }
}

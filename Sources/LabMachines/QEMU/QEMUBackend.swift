import Diagnostics
import HostSystem
import GuestControl
import LabImages
import LabSpec
import Logging
import Quantities

/// Machines in QEMU: any guest, on any host.
package struct QEMUBackend: MachineBackend {
    package enum Acceleration: Sendable, Hashable {
        /// KVM where it is backed by hardware, else emulation.
        case automatic
        /// Emulation, whatever the host supports.
        case emulated
        /// KVM, whatever the probe finds.
        case kvm
    }

    /// The oldest QEMU whose options are used here.
    package static let oldestVersion = QEMUVersion(major: 7, minor: 0)

    package var name: String { commandLine.accelerator == .kvm ? "qemu-kvm" : "qemu-tcg" }

    package let executable: String

    let commandLine: QEMUCommandLine

    /// Finds QEMU and chooses the accelerator. QEMU's version is queried only when a guest fails to start: the query takes as long
    /// as the rest of vmlab's own start. Throws a `Diagnostic` that names the Debian package when QEMU is missing.
    package init(acceleration: Acceleration = .automatic, probe: KVMProbe? = nil) throws {
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

    init(executable: String, accelerator: QEMUCommandLine.Accelerator) {
        self.executable = executable
        commandLine = QEMUCommandLine(accelerator: accelerator)
    }

    /// Runs `--version`. Throws a `Diagnostic` when the output is not understood or the version is too old.
    package func version() async throws -> QEMUVersion {
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

    /// QEMU's memory beyond the guest's RAM: see `MeasuredOverhead`.
    package func overhead(memory: ByteCount, cpus: Int) -> ByteCount {
        MeasuredOverhead.of(commandLine.accelerator, cpus: cpus)
    }

    package func start(_ configuration: MachineConfiguration) async throws -> any Machine {
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
        case .sparse(let bytes): try makeScratchDisk(drive.path, bytes)
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
                // The RAM file has no huge pages anyway; elsewhere this saves 3 of 31 MiB without a measurable slowdown.
                hasSmallPages: state != nil && memory.file != nil)
            let saver = QEMUSaver(drives: drives, memory: memory)
            // Before the first event arrives.
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
        } catch let failure as MachineProcess.Failure {
            // For an old QEMU its version is a better message than the unknown option.
            if case .ended = failure {
                let version = try await version()
                if !configuration.networks.isEmpty {
                    try require(QEMUVersion(major: 7, minor: 2), having: version, for: "a guest on a network")
                }
            }
            throw failure.diagnostic(what, of: "QEMU")
        }
    }
}

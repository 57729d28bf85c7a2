import Diagnostics
import HostSystem
import GuestControl
import LabImages
import LabSpec
import Logging
import QMP
import Quantities

/// Machines in vmlab's own monitor, `vmlab-vmm`, on `/dev/kvm`: guests that have a kernel of their own.
package struct MicroVMBackend: MachineBackend {
    package var name: String { "kvm" }

    package let executable: String

    /// Kernels unpacked by the host: the monitor cannot do it, and each guest would spend its own vCPU on it.
    private let kernels: KernelCache

    /// Finds the monitor: `VMLAB_VMM`, or next to the running program. Throws when it is missing. Does not check `/dev/kvm`.
    package init() throws(Diagnostic) {
        self.init(executable: try MicroVMProgram.find())
    }

    init(executable: String, kernels: KernelCache = KernelCache()) {
        self.executable = executable
        self.kernels = kernels
    }

    /// A monitor's memory beyond the guest's RAM: 1 MiB of private memory measured for one vCPU (`Benchmarks/vmm`), plus as
    /// much for the host kernel's tables, rounded up.
    package func overhead(memory: ByteCount, cpus: Int) -> ByteCount {
        .mebibytes(3 + UInt64(max(cpus, 1)))
    }

    /// Every saved state depends on the monitor's build and the host's CPU. See the protocol.
    package func fingerprint(of configuration: MachineConfiguration) -> String? {
        Self.fingerprint(of: executable).map {
            ([$0] + DiskChain.stamps(of: configuration)).joined(separator: "\n")
        }
    }

    /// What a saved state depends on: the program, because each build may have another layout, and the CPU features that guests
    /// see. Nil without the program.
    static func fingerprint(of executable: String, on host: HostFacts = HostFacts()) -> String? {
        guard let stamp = FileStamp(executable) else { return nil }
        return ["\(MicroVMProgram.name): \(stamp)", "kernel: \(host.kernelRelease)", "processor: \(host.processor)"]
            .joined(separator: "\n")
    }

    package func start(_ configuration: MachineConfiguration) async throws -> any Machine {
        if let obstacle = MicroVMObstacle(configuration) { throw obstacle.diagnostic(configuration.name) }
        var configuration = configuration
        if let kernel = configuration.image.kernel, case .unpacked(let path) = try await kernels.bootable(kernel) {
            configuration.image.kernel = path
        }
        let disks = try MicroVMDisk.all(of: configuration) { path, format throws(Diagnostic) in
            try DiskChain(reading: path, as: format, within: .everything)
        }
        let files = disks.flatMap(\.made)
        do {
            for disk in disks { try await prepare(disk) }
            return try await launch(configuration, disks, files)
        } catch {
            for file in files { try? FileTree.remove(file) }
            throw error
        }
    }

    private func prepare(_ disk: MicroVMDisk) async throws {
        switch disk.preparation {
        case .none: break
        case .sparse(let bytes): try makeScratchDisk(disk.path, bytes)
        case .unpacked(let source):
            guard Tool.find("qemu-img") != nil else {
                throw Diagnostic(
                    .host,
                    "the disk \(source.path) is a \(source.format.rawValue) image, and qemu-img, which converts it, is missing",
                    remedy: "on Debian: `apt-get install qemu-utils`, or convert it to a raw image elsewhere")
            }
            try await Tool.run(
                "qemu-img", ["convert", "-q", "-O", "raw", "json:\(source.node.line)", disk.path],
                package: "qemu-utils"
            ).checked("cannot convert the disk \(source.path)")
        }
    }

    private func launch(
        _ configuration: MachineConfiguration, _ disks: [MicroVMDisk], _ files: [String]
    ) async throws -> SupervisedMachine {
        let what = "cannot start the guest \(configuration.name)"
        do {
            let text = Array(VMConfiguration(configuration, disks).json.line.utf8)
            let file = try OwnedDescriptor.memoryFile("vmlab-vmm.json", holding: text)
            let number = MachineProcess.Descriptor.firstFree
            let process = try await MachineProcess.start(
                executable, ["--config-fd", "\(number)"],
                log: Logger(label: "vmlab.machines", guest: configuration.name), inherited: [number: file.number])
            return SupervisedMachine(
                process, files: files, dialect: MicroVMSaver(configuration, disks: disks))
        } catch let error as SystemCallError {
            throw error.diagnostic(what)
        } catch let failure as MachineProcess.Failure {
            throw failure.diagnostic(what, of: MicroVMProgram.name)
        }
    }
}

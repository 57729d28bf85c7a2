import Diagnostics
import HostSystem
import LabEngine
import LabSpec
import struct MicroVM.VMConfiguration

/// Machines in vmlab's own monitor on `/dev/kvm`: a process of `vmlab-vmm` for each guest.
public struct MicroVMBackend: MachineBackend {
    /// `kvm`.
    public var name: String { "kvm" }

    /// The monitor's path.
    public let executable: String

    /// Finds the monitor: `VMLAB_VMM`, or beside the running program. Throws when it is not there. Whether `/dev/kvm` is of
    /// any use is another question.
    public init() throws(Diagnostic) {
        executable = try MicroVMProgram.find()
    }

    /// A backend whose monitor is this program.
    init(executable: String) { self.executable = executable }

    /// What a process of `vmlab-vmm` takes beyond the guest's RAM. A figure to plan with that leaves room for page tables
    /// and for output that waits, until `make bench` has measured it.
    public func overhead(memory: ByteCount, cpus: Int) -> ByteCount { .mebibytes(16) }

    /// Starts a guest. See the protocol.
    public func start(_ configuration: MachineConfiguration) async throws -> any Machine {
        if let obstacle = MicroVMObstacle(configuration) { throw obstacle.diagnostic(configuration.name) }
        let disks = MicroVMDisk.all(of: configuration, formatOf: DiskFormat.of)
        let files = disks.flatMap(\.files)
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
        case .converted(let base):
            guard Tool.find("qemu-img") != nil else {
                throw Diagnostic(
                    .host, "the disk \(base) is a qcow2 image, and qemu-img, which reads it, is missing",
                    remedy: "on Debian: `apt-get install qemu-utils`, or convert it to a raw image elsewhere")
            }
            try await Tool.run(
                "qemu-img", ["convert", "-q", "-f", "qcow2", "-O", "raw", base, disk.disk.path], package: "qemu-utils"
            ).checked("cannot convert the disk \(base)")
        case .sparse(let bytes):
            do throws(SystemCallError) {
                try FileTree.makeSparseFile(disk.disk.path, size: bytes)
            } catch {
                throw error.diagnostic("cannot make the scratch disk \(disk.disk.path)")
            }
        }
    }

    private func launch(
        _ configuration: MachineConfiguration, _ disks: [MicroVMDisk], _ files: [String]
    ) async throws -> SupervisedMachine {
        let what = "cannot start the guest \(configuration.name)"
        let wanted = VMConfiguration(configuration, disks: disks)
        do {
            let file = try OwnedDescriptor.memoryFile(
                "\(MicroVMProgram.name).json", holding: Array(wanted.json.line.utf8))
            let number = MachineProcess.Descriptor.firstFree
            let process = try await MachineProcess.start(
                executable, ["--config-fd", "\(number)"], inherited: [number: file.number])
            return SupervisedMachine(process, files: files)
        } catch let error as SystemCallError {
            throw error.diagnostic(what)
        } catch MachineProcess.Failure.notStarted(let error) {
            throw error.diagnostic(what)
        } catch MachineProcess.Failure.ended(let status, let lines) {
            throw Diagnostic(
                .host, what, remedy: MachineProcess.Failure.remedy(for: lines),
                cause: "\(MicroVMProgram.name): \(status)", notes: Array(lines.suffix(8)))
        }
    }
}

extension VMConfiguration {
    /// The built-in machine that a guest asks for: a pure function of what it is made of.
    init(_ configuration: MachineConfiguration, disks: [MicroVMDisk]) {
        // Our images ask QEMU for virtio ports by these words. Here commands go over the second serial port, which is quick
        // enough and which every kernel has.
        let words = configuration.cmdline.split(separator: " ").filter {
            !$0.hasPrefix("vmlab.port=") && !$0.hasPrefix("vmlab.keys=")
        }
        let mebibyte: UInt64 = 1 << 20
        let (quotient, remainder) = configuration.memory.bytes.quotientAndRemainder(dividingBy: mebibyte)
        self.init(
            name: configuration.name, kernel: configuration.image.kernel ?? "", initrd: configuration.image.initrd,
            cmdline: words.joined(separator: " "), memory: (quotient + (remainder == 0 ? 0 : 1)) * mebibyte,
            cpus: configuration.cpus, com1: .descriptor(MachineProcess.Descriptor.console),
            com2: .descriptor(MachineProcess.Descriptor.commands),
            monitor: .descriptor(MachineProcess.Descriptor.monitor), disks: disks.map(\.disk),
            networks: configuration.networks.compactMap { card in
                guard case .segment(let local, let remote) = card.link else { return nil }
                return Network(mac: card.mac, link: .sockets(local: local, remote: remote))
            })
    }
}

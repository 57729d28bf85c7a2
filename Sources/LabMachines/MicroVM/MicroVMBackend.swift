import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import JSONText
import LabEngine
import LabSpec

/// Machines in vmlab's own monitor, `vmlab-vmm`, on `/dev/kvm`: guests with a kernel of their own.
public struct MicroVMBackend: MachineBackend {
    public let name = "kvm"

    /// The monitor's path.
    public let executable: String

    /// The descriptors under which the monitor inherits our connections and its configuration.
    private enum Descriptor {
        static let monitor: Int32 = 3
        static let console: Int32 = 4
        static let commands: Int32 = 5
        static let configuration: Int32 = 6
    }

    /// Finds the monitor. Throws a `Diagnostic` when it is missing, or `/dev/kvm` is.
    public init(probe: KVMProbe) throws(Diagnostic) {
        if case .unavailable(let reason, let remedy) = probe {
            throw Diagnostic(
                .host, "the built-in backend needs /dev/kvm", remedy: "\(remedy); or use `backend: qemu`",
                cause: reason)
        }
        guard let path = Self.monitorPath else {
            throw Diagnostic(
                .host, "the built-in backend's program vmlab-vmm is missing",
                remedy: "it is built beside vmlab by `make build`; VMLAB_VMM may name another place")
        }
        executable = path
    }

    /// Where the monitor is: what VMLAB_VMM names, else beside this program. Nil when it is not there.
    public static var monitorPath: String? {
        if let path = Environment["VMLAB_VMM"] { return access(path, X_OK) == 0 ? path : nil }
        var count = 0
        let buffer = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, length in
            buffer.withMemoryRebound(to: CChar.self) { path in
                if let base = path.baseAddress { count = readlink("/proc/self/exe", base, path.count) }
            }
            length = max(0, count)
        }
        guard count > 0 else { return nil }
        let program = String(decoding: buffer, as: UTF8.self)
        guard let slash = program.lastIndex(of: "/") else { return nil }
        let path = program[...slash] + "vmlab-vmm"
        return access(String(path), X_OK) == 0 ? String(path) : nil
    }

    /// What a monitor costs beyond the guest's RAM: 1 MiB of private memory measured for one vCPU (`Benchmarks/vmm`), and as
    /// much again for the kernel's own tables, rounded up.
    public func overhead(memory: ByteCount, cpus: Int) -> ByteCount {
        .mebibytes(3 + UInt64(max(cpus, 1)))
    }

    /// Starts a guest. See the protocol.
    public func start(_ configuration: MachineConfiguration) async throws -> any Machine {
        guard let kernel = configuration.image.kernel, configuration.image.firmware == nil else {
            throw Diagnostic(
                .specification, "\(configuration.name): the built-in backend boots kernels, not firmware or disks",
                remedy: "use `backend: qemu` for this guest")
        }
        let disks = MicroVMDisk.all(of: configuration, formatOf: DiskFormat.of)
        let files = disks.flatMap(\.made)
        do {
            for disk in disks { try await prepare(disk) }
            return try await launch(try json(configuration, kernel: kernel, disks), configuration.name, files)
        } catch {
            for file in files { try? FileTree.remove(file) }
            throw error
        }
    }

    private func prepare(_ disk: MicroVMDisk) async throws {
        switch disk.preparation {
        case .none: break
        case .sparse(let bytes):
            do throws(SystemCallError) {
                try FileTree.makeSparseFile(disk.path, size: bytes)
            } catch {
                throw error.diagnostic("cannot make the scratch disk \(disk.path)")
            }
        case .unpacked(let source):
            try await Tool.run(
                "qemu-img", ["convert", "-q", "-O", "raw", source, disk.path], package: "qemu-utils"
            ).checked("cannot unpack the disk \(source)")
        }
    }

    /// The monitor's configuration; its README describes it.
    private func json(
        _ configuration: MachineConfiguration, kernel: String, _ disks: [MicroVMDisk]
    ) throws -> JSONValue {
        // The command channel is COM2: the machine has no virtio console.
        let words = configuration.cmdline.split(separator: " ").filter {
            !$0.hasPrefix("vmlab.port=") && !$0.hasPrefix("vmlab.keys=")
        }
        var members: [String: JSONValue] = [
            "name": .string(configuration.name), "kernel": .string(kernel),
            "cmdline": .string(words.joined(separator: " ")),
            // Whole pages.
            "memory": .integer(Int64(clamping: (configuration.memory.bytes + 4095) & ~4095)),
            "cpus": .integer(Int64(configuration.cpus)),
            "com1": ["fd": .integer(Int64(Descriptor.console))],
            "com2": ["fd": .integer(Int64(Descriptor.commands))],
            "monitor": ["fd": .integer(Int64(Descriptor.monitor))],
            "disks": .array(disks.map(Self.json)),
            "networks": .array(try configuration.networks.map { try Self.json($0, of: configuration.name) }),
        ]
        if let initrd = configuration.image.initrd { members["initrd"] = .string(initrd) }
        return .object(members)
    }

    private static func json(_ disk: MicroVMDisk) -> JSONValue {
        var members: [String: JSONValue] = [
            "path": .string(disk.path), "serial": .string(disk.serial), "readOnly": .bool(disk.isReadOnly),
        ]
        if let overlay = disk.overlay { members["overlay"] = .string(overlay) }
        return .object(members)
    }

    private static func json(_ card: NetworkAttachment, of guest: String) throws -> JSONValue {
        switch card.link {
        case .segment(let local, let remote):
            return ["mac": .string(card.mac), "local": .string(local), "remote": .string(remote)]
        case .nat:
            throw Diagnostic(
                .specification, "\(guest): the built-in backend has no `nat: true`",
                remedy: "use `backend: qemu` for this guest")
        }
    }

    private func launch(_ configuration: JSONValue, _ name: String, _ files: [String]) async throws -> SupervisedMachine
    {
        let what = "cannot start the guest \(name)"
        let child: ChildProcess
        let sockets: [StreamSocket]
        do throws(SystemCallError) {
            (child, sockets) = try await spawn(Array(configuration.line.utf8))
        } catch {
            throw error.diagnostic(what)
        }
        let monitor = QMPClient(sockets[0])
        do {
            try await monitor.handshake(timeout: .seconds(60))
        } catch {
            // Let it finish its last words when it is ending by itself.
            if error as? QMPError == .closed {
                _ = try? await withDeadline(.now + .seconds(2)) { try await child.wait() }
            }
            child.kill()
            let status = await child.ended()
            monitor.close()
            if error is CancellationError { throw error }
            throw Diagnostic(
                .host, what, cause: "vmlab-vmm: \(status)", notes: Array(child.standardError.suffix(8)))
        }
        return SupervisedMachine(
            child: child, monitor: monitor, console: sockets[1], commands: sockets[2], files: files)
    }

    /// The monitor's process, and our ends of its QMP, COM1 and COM2.
    private func spawn(_ configuration: [UInt8]) async throws(SystemCallError) -> (ChildProcess, [StreamSocket]) {
        let monitor = try DescriptorPair.socketPair()
        let console = try DescriptorPair.socketPair()
        let commands = try DescriptorPair.socketPair()
        // A configuration is smaller than what a pipe holds, so writing it needs no reader.
        var pipe = try DescriptorPair.pipe()
        let number = pipe.second.number
        try systemCall("write") { write(number, configuration, configuration.count) }
        pipe.second.close()
        let child = try await ChildProcess.spawn(
            ChildConfiguration(
                executable: executable, arguments: ["--config-fd", "\(Descriptor.configuration)"],
                workingDirectory: "/",
                inherited: [
                    Descriptor.monitor: monitor.second.number, Descriptor.console: console.second.number,
                    Descriptor.commands: commands.second.number, Descriptor.configuration: pipe.first.number,
                ]))
        do throws(SystemCallError) {
            return (
                child,
                [
                    try StreamSocket(owning: monitor.first), try StreamSocket(owning: console.first),
                    try StreamSocket(owning: commands.first),
                ]
            )
        } catch {
            child.kill()
            _ = await child.ended()
            throw error
        }
    }
}

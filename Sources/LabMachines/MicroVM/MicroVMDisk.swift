import GuestControl
import HostSystem
import LabImages
import LabSpec
import QMP

/// One disk of a built-in machine, and how its file is made before the start.
struct MicroVMDisk: Sendable, Hashable {
    enum Preparation: Sendable, Hashable {
        case none
        case sparse(bytes: UInt64)
        /// A raw copy of a disk in a format that the machine cannot read.
        case unpacked(from: DiskChain)
    }

    /// How the disk gets into a saved machine.
    enum Keeping: Sendable, Hashable {
        /// Not at all: the file stays as it is, and the monitor saves the overlay.
        case none
        /// The file is copied, because the machine writes to it.
        case copied
        /// The file, of a saved machine, is linked because it is never written to. The monitor saves the overlay.
        case shared
    }

    var path: String
    var serial: String
    var isReadOnly = false
    /// The file for the guest's writes; `path` is then read-only.
    var overlay: String?
    var preparation = Preparation.none
    var keeping = Keeping.none

    static func all<Failure>(
        of configuration: MachineConfiguration,
        chainOf: (String, ImageDisk.Format?) throws(Failure) -> DiskChain
    ) throws(Failure) -> [MicroVMDisk] {
        try GuestDisk.all(of: configuration, chainOf: chainOf).enumerated().map { number, disk in
            func file(_ name: String) -> String { "\(configuration.directory)/\(name)\(number)" }
            var result = MicroVMDisk(path: "", serial: disk.serial, isReadOnly: disk.isReadOnly)
            switch disk.source {
            case .file(let chain) where chain.format.driver == ImageDisk.Format.raw.driver:
                result.path = chain.path
                result.overlay = disk.isReadOnly ? nil : file("overlay")
            case .file(let chain), .made(let chain):
                // The raw copy is private to the machine and needs no overlay.
                (result.path, result.preparation, result.keeping) = (file("disk"), .unpacked(from: chain), .copied)
            case .scratch(let bytes):
                (result.path, result.preparation, result.keeping) = (file("scratch"), .sparse(bytes: bytes), .copied)
            case .saved(let chain):
                (result.path, result.keeping) = (chain.path, .shared)
                result.overlay = disk.isReadOnly ? nil : file("overlay")
            case .exchange(let path): result.path = path
            }
            return result
        }
    }

    var configuration: VMConfiguration.Disk {
        VMConfiguration.Disk(path: path, serial: serial, readOnly: isReadOnly, overlay: overlay)
    }

    /// Files that are made for the machine and removed with it.
    var made: [String] { [overlay].compactMap { $0 } + (preparation == .none ? [] : [path]) }
}

extension VMConfiguration {
    /// The vmlab-vmm configuration for a guest without obstacles: a pure function of the machine's configuration.
    init(_ guest: MachineConfiguration, _ disks: [MicroVMDisk]) {
        // These words of our images select QEMU's virtio ports. Here commands use the second serial port, which is fast enough
        // and which every kernel supports.
        let words = guest.cmdline.split(separator: " ").filter {
            !$0.hasPrefix("vmlab.port=") && !$0.hasPrefix("vmlab.keys=")
        }
        self.init(
            name: guest.name, kernel: guest.image.kernel ?? "", initrd: guest.image.initrd,
            cmdline: words.joined(separator: " "),
            // Whole pages.
            memory: (guest.memory.bytes &+ 4095) & ~4095, cpus: guest.cpus,
            com1: .descriptor(MachineProcess.Descriptor.console),
            com2: .descriptor(MachineProcess.Descriptor.commands),
            monitor: .descriptor(MachineProcess.Descriptor.monitor), disks: disks.map(\.configuration),
            networks: guest.networks.map {
                Network(mac: $0.mac, link: .sockets(local: $0.local, remote: $0.remote))
            },
            snapshots: guest.directory, golden: guest.goldenFolder.map(MicroVMSaver.state),
            restore: guest.restoring?.state)
    }
}

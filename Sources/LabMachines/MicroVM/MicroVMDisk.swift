import GuestControl
import HostSystem
import LabImages
import LabSpec
import QMP

/// One disk of a built-in machine, and what must be made before it starts.
struct MicroVMDisk: Sendable, Hashable {
    /// What makes the file.
    enum Preparation: Sendable, Hashable {
        case none
        /// An empty sparse file of so many bytes.
        case sparse(bytes: UInt64)
        /// A raw copy of a disk whose layout the machine does not read.
        case unpacked(from: DiskChain)
    }

    /// How a saved machine's copy of it comes about.
    enum Keeping: Sendable, Hashable {
        /// Not at all: it is there for whoever goes on, with what the monitor keeps of its overlay.
        case none
        /// The file is copied, as the machine writes to it.
        case copied
        /// The file is shared: a saved machine's, which nobody writes to. What is over it the monitor keeps.
        case shared
    }

    var path: String
    /// By which the guest finds it, at most 20 characters.
    var serial: String
    var isReadOnly = false
    /// A file for what the guest writes, so that `path` is only read.
    var overlay: String?
    var preparation = Preparation.none
    var keeping = Keeping.none

    /// All disks of a machine in the order the guest sees them; see `GuestDisk`.
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
            case .file(let chain):
                // The raw copy is the machine's own, so it needs no overlay.
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

    /// Files that were made for the machine and go with it.
    var made: [String] { [overlay].compactMap { $0 } + (preparation == .none ? [] : [path]) }
}

extension VMConfiguration {
    /// What vmlab-vmm is told of a guest's machine that has no obstacles: a pure function of what it is made of.
    init(_ guest: MachineConfiguration, _ disks: [MicroVMDisk]) {
        // Our images ask QEMU for virtio ports by these words. Here commands go over the second serial port, which is quick
        // enough and which every kernel has.
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

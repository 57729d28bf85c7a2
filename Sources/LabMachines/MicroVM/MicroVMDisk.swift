import HostSystem
import GuestControl
import LabImages
import LabSpec
import QMP

/// One disk of a built-in machine, and what must be made before it starts.
struct MicroVMDisk: Sendable, Hashable {
    /// What makes the file.
    enum Preparation: Sendable, Hashable {
        /// The file is used as it is.
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

    /// All disks of a machine in the order the guest sees them: the image's, the lab's, the exchange disk.
    ///
    /// Those that were a saved machine's own are read from its copies by a restored one. `chainOf` looks at a disk file, of
    /// a format that is known or not.
    static func all<Failure>(
        of configuration: MachineConfiguration,
        chainOf: (String, ImageDisk.Format?) throws(Failure) -> DiskChain
    ) throws(Failure) -> [MicroVMDisk] {
        var disks: [MicroVMDisk] = []
        func file(_ name: String) -> String { "\(configuration.directory)/\(name)\(disks.count)" }
        /// Adds the saved copy of a disk that was the machine's own; false when there is none.
        func goOn(serial: String, isReadOnly: Bool = false) -> Bool {
            guard let saved = configuration.restoring?.disks[disks.count] else { return false }
            disks.append(
                MicroVMDisk(
                    path: saved.path, serial: serial, isReadOnly: isReadOnly,
                    overlay: isReadOnly ? nil : file("overlay"), keeping: .shared))
            return true
        }
        func add(_ chain: DiskChain, serial: String, isReadOnly: Bool) {
            if chain.format.driver == ImageDisk.Format.raw.driver {
                let overlay = isReadOnly ? nil : file("overlay")
                disks.append(MicroVMDisk(path: chain.path, serial: serial, isReadOnly: isReadOnly, overlay: overlay))
            } else if !goOn(serial: serial, isReadOnly: isReadOnly) {
                // The raw copy is the machine's own, so it needs no overlay.
                disks.append(
                    MicroVMDisk(
                        path: file("disk"), serial: serial, isReadOnly: isReadOnly, preparation: .unpacked(from: chain),
                        keeping: .copied))
            }
        }
        for disk in configuration.image.disks {
            add(try chainOf(disk.path, disk.format), serial: disk.serial, isReadOnly: disk.readOnly)
        }
        for (index, disk) in configuration.disks.enumerated() {
            switch disk {
            case .scratch where goOn(serial: "disk\(index)"): break
            case .scratch(let size):
                disks.append(
                    MicroVMDisk(
                        path: file("scratch"), serial: "disk\(index)", preparation: .sparse(bytes: size.bytes),
                        keeping: .copied))
            case .file(let path, let format):
                let chain = try chainOf(path, format)
                add(chain, serial: "disk\(index)", isReadOnly: chain.format == .iso)
            }
        }
        if let exchange = configuration.exchangeDisk {
            disks.append(MicroVMDisk(path: exchange, serial: "vmlab-xchg"))
        }
        return disks
    }

    /// What vmlab-vmm is told of it.
    var configuration: VMConfiguration.Disk {
        VMConfiguration.Disk(path: path, serial: serial, readOnly: isReadOnly, overlay: overlay)
    }

    /// Files that were made for the machine and go with it.
    var made: [String] { [overlay].compactMap { $0 } + (preparation == .none ? [] : [path]) }
}

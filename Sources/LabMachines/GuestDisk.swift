import GuestControl
import LabImages
import LabSpec

/// One disk of a machine, for either backend.
struct GuestDisk {
    /// The origin of its content.
    enum Source {
        /// A file of the image or of the lab.
        case file(DiskChain)
        /// The disk of an image that is being made: what the guest writes goes to the file itself.
        case made(DiskChain)
        /// An empty disk of this many bytes.
        case scratch(UInt64)
        /// The exchange disk, which carries files between guest and host.
        case exchange(String)
        /// The copy of a disk in a saved machine.
        case saved(DiskChain)
    }

    /// The virtio serial by which the guest finds the disk, at most 20 characters.
    let serial: String
    let isReadOnly: Bool
    /// Whether it is an image's CD: firmware boots it by another path than a disk's first sector.
    let isInDrive: Bool
    let source: Source

    /// All disks of a machine in the order the guest sees them: the image's, the lab's, the exchange disk. A restored machine reads
    /// the disks that a saved machine wrote from its copies. `chainOf` inspects a disk file whose format may be unknown.
    static func all<Failure>(
        of configuration: MachineConfiguration,
        chainOf: (String, ImageDisk.Format?) throws(Failure) -> DiskChain
    ) throws(Failure) -> [GuestDisk] {
        var disks: [GuestDisk] = []
        func add(_ serial: String, isReadOnly: Bool = false, isInDrive: Bool = false, _ source: Source) {
            disks.append(
                GuestDisk(serial: serial, isReadOnly: isReadOnly, isInDrive: isInDrive, source: source))
        }
        /// The saved copy of the next disk.
        func saved() throws(Failure) -> Source? {
            guard let saved = configuration.restoring?.disks[disks.count] else { return nil }
            return .saved(try chainOf(saved.path, saved.format))
        }
        for disk in configuration.image.disks {
            let source: Source
            if let saved = try saved() {
                source = saved
            } else {
                let chain = try chainOf(disk.path, disk.format)
                source = disk.isBeingMade ? .made(chain) : .file(chain)
            }
            add(disk.serial, isReadOnly: disk.readOnly, isInDrive: disk.readOnly && disk.format == .iso, source)
        }
        for (index, disk) in configuration.disks.enumerated() {
            let serial = "disk\(index)"
            if let saved = try saved() {
                add(serial, saved)
                continue
            }
            switch disk {
            case .scratch(let size): add(serial, .scratch(size.bytes))
            case .file(let path, let format):
                let chain = try chainOf(path, format)
                add(serial, isReadOnly: chain.format == .iso, .file(chain))
            }
        }
        if let exchange = configuration.exchangeDisk { add("vmlab-xchg", .exchange(exchange)) }
        return disks
    }
}

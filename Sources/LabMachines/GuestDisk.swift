import GuestControl
import LabImages
import LabSpec

/// One disk of a machine, whichever program runs it.
struct GuestDisk {
    /// Where its bytes come from.
    enum Source {
        /// A file of the image's or of the lab's.
        case file(DiskChain)
        /// Nowhere: it is empty, and has so many bytes.
        case scratch(UInt64)
        /// The file by which the guest and vmlab exchange others.
        case exchange(String)
        /// What a saved machine had on a disk of its own.
        case saved(DiskChain)
    }

    /// By which the guest finds it, at most 20 characters.
    let serial: String
    let isReadOnly: Bool
    /// Whether it is an image's CD, from which firmware boots what no disk's first sector does.
    let isInDrive: Bool
    let source: Source

    /// All disks of a machine in the order the guest sees them: the image's, the lab's, the exchange disk.
    ///
    /// Those that were a saved machine's own are read from its copies by a restored one. `chainOf` looks at a disk file, of
    /// a format that is known or not.
    static func all<Failure>(
        of configuration: MachineConfiguration,
        chainOf: (String, ImageDisk.Format?) throws(Failure) -> DiskChain
    ) throws(Failure) -> [GuestDisk] {
        var disks: [GuestDisk] = []
        func add(_ serial: String, isReadOnly: Bool = false, isInDrive: Bool = false, _ source: Source) {
            disks.append(
                GuestDisk(serial: serial, isReadOnly: isReadOnly, isInDrive: isInDrive, source: source))
        }
        /// What was saved of the disk that is next.
        func saved() throws(Failure) -> Source? {
            guard let saved = configuration.restoring?.disks[disks.count] else { return nil }
            return .saved(try chainOf(saved.path, saved.format))
        }
        for disk in configuration.image.disks {
            let source = if let saved = try saved() { saved } else { Source.file(try chainOf(disk.path, disk.format)) }
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

import GuestControl
import LabImages
import LabSpec

/// One virtio disk of a QEMU guest, and what must be made before it starts.
struct QEMUDrive: Sendable, Hashable {
    /// What makes the file that the guest writes to.
    enum Preparation: Sendable, Hashable {
        /// The file is used as it is.
        case none
        /// A qcow2 overlay over this file, which is never written to.
        case overlay(base: String, format: ImageDisk.Format)
        /// An empty sparse file of so many bytes.
        case sparse(bytes: UInt64)
    }

    /// The files that QEMU opens.
    var chain: DiskChain
    /// By which the guest finds it, at most 20 characters.
    var serial: String
    var isReadOnly: Bool
    var preparation: Preparation
    /// Whether the guest finds it in a CD drive, from which firmware boots what no disk's first sector does.
    var isInDrive = false

    /// The file that QEMU opens first.
    var path: String { chain.path }
    /// How that is laid out.
    var format: ImageDisk.Format { chain.format }

    /// All disks of a machine in the order the guest sees them: the image's, the lab's, the exchange disk.
    ///
    /// A restored machine's are overlays over what was saved. `chainOf` looks at a disk file, of a format that is known or
    /// not.
    static func all<Failure>(
        of configuration: MachineConfiguration,
        chainOf: (String, ImageDisk.Format?) throws(Failure) -> DiskChain
    ) throws(Failure) -> [QEMUDrive] {
        var drives: [QEMUDrive] = []
        let folder = configuration.directory
        func overlay(_ base: DiskChain, serial: String) -> QEMUDrive {
            QEMUDrive(
                chain: base.under("\(folder)/overlay\(drives.count).qcow2"), serial: serial, isReadOnly: false,
                preparation: .overlay(base: base.path, format: base.format))
        }
        func readOnly(_ chain: DiskChain, serial: String) -> QEMUDrive {
            QEMUDrive(chain: chain, serial: serial, isReadOnly: true, preparation: .none)
        }
        /// What was saved of the disk that is next.
        func saved(serial: String) throws(Failure) -> QEMUDrive? {
            guard let saved = configuration.restoring?.disks[drives.count] else { return nil }
            return overlay(try chainOf(saved.path, saved.format), serial: serial)
        }
        for disk in configuration.image.disks {
            if disk.readOnly {
                var drive = readOnly(try chainOf(disk.path, disk.format), serial: disk.serial)
                drive.isInDrive = disk.format == .iso
                drives.append(drive)
            } else if let drive = try saved(serial: disk.serial) {
                drives.append(drive)
            } else {
                drives.append(overlay(try chainOf(disk.path, disk.format), serial: disk.serial))
            }
        }
        for (index, disk) in configuration.disks.enumerated() {
            let serial = "disk\(index)"
            if let drive = try saved(serial: serial) {
                drives.append(drive)
                continue
            }
            switch disk {
            case .scratch(let size):
                let file = DiskChain(path: "\(folder)/scratch\(drives.count).raw", format: .raw)
                drives.append(
                    QEMUDrive(chain: file, serial: serial, isReadOnly: false, preparation: .sparse(bytes: size.bytes)))
            case .file(let path, let format):
                let chain = try chainOf(path, format)
                drives.append(chain.format == .iso ? readOnly(chain, serial: serial) : overlay(chain, serial: serial))
            }
        }
        if let exchange = configuration.exchangeDisk {
            drives.append(
                QEMUDrive(
                    chain: DiskChain(path: exchange, format: .raw), serial: "vmlab-xchg", isReadOnly: false,
                    preparation: .none))
        }
        return drives
    }
}

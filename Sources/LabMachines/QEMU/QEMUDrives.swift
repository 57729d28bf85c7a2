import LabEngine
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

    /// The file that QEMU opens.
    var path: String
    var format: ImageDisk.Format
    /// By which the guest finds it, at most 20 characters.
    var serial: String
    var isReadOnly: Bool
    var preparation: Preparation

    /// All disks of a machine in the order the guest sees them: the image's, the lab's, the exchange disk.
    ///
    /// A restored machine's are overlays over what was saved. `formatOf` tells how a disk file from the lab is laid out.
    static func all(
        of configuration: MachineConfiguration, formatOf: (String) -> ImageDisk.Format
    ) -> [QEMUDrive] {
        var drives: [QEMUDrive] = []
        let folder = configuration.directory
        func overlay(_ base: String, _ format: ImageDisk.Format, serial: String) -> QEMUDrive {
            QEMUDrive(
                path: "\(folder)/overlay\(drives.count).qcow2", format: .qcow2, serial: serial, isReadOnly: false,
                preparation: .overlay(base: base, format: format))
        }
        func own(_ otherwise: @autoclosure () -> QEMUDrive, serial: String) -> QEMUDrive {
            guard let saved = configuration.restoring?.disks[drives.count] else { return otherwise() }
            return overlay(saved.path, saved.format, serial: serial)
        }
        for disk in configuration.image.disks {
            if disk.readOnly {
                drives.append(
                    QEMUDrive(
                        path: disk.path, format: disk.format, serial: disk.serial, isReadOnly: true, preparation: .none)
                )
            } else {
                drives.append(own(overlay(disk.path, disk.format, serial: disk.serial), serial: disk.serial))
            }
        }
        for (index, disk) in configuration.disks.enumerated() {
            let serial = "disk\(index)"
            switch disk {
            case .scratch(let size):
                drives.append(
                    own(
                        QEMUDrive(
                            path: "\(folder)/scratch\(drives.count).raw", format: .raw, serial: serial,
                            isReadOnly: false, preparation: .sparse(bytes: size.bytes)), serial: serial))
            case .file(let path):
                drives.append(own(overlay(path, formatOf(path), serial: serial), serial: serial))
            }
        }
        if let exchange = configuration.exchangeDisk {
            drives.append(
                QEMUDrive(
                    path: exchange, format: .raw, serial: "vmlab-xchg", isReadOnly: false, preparation: .none))
        }
        return drives
    }
}

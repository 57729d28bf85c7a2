import GuestControl
import LabImages
import LabSpec

/// One virtio disk of a QEMU guest, and what must be made before it starts.
struct QEMUDrive: Sendable, Hashable {
    /// What makes the file that the guest writes to.
    enum Preparation: Sendable, Hashable {
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

    var path: String { chain.path }
    var format: ImageDisk.Format { chain.format }

    /// All disks of a machine in the order the guest sees them; see `GuestDisk`.
    static func all<Failure>(
        of configuration: MachineConfiguration,
        chainOf: (String, ImageDisk.Format?) throws(Failure) -> DiskChain
    ) throws(Failure) -> [QEMUDrive] {
        let folder = configuration.directory
        return try GuestDisk.all(of: configuration, chainOf: chainOf).enumerated().map { number, disk in
            switch disk.source {
            case .file(let chain) where disk.isReadOnly:
                QEMUDrive(
                    chain: chain, serial: disk.serial, isReadOnly: true, preparation: .none, isInDrive: disk.isInDrive)
            case .file(let base), .saved(let base):
                QEMUDrive(
                    chain: base.under("\(folder)/overlay\(number).qcow2"), serial: disk.serial, isReadOnly: false,
                    preparation: .overlay(base: base.path, format: base.format))
            case .scratch(let bytes):
                QEMUDrive(
                    chain: DiskChain(path: "\(folder)/scratch\(number).raw", format: .raw), serial: disk.serial,
                    isReadOnly: false, preparation: .sparse(bytes: bytes))
            case .exchange(let path):
                QEMUDrive(
                    chain: DiskChain(path: path, format: .raw), serial: disk.serial, isReadOnly: false,
                    preparation: .none)
            }
        }
    }
}

import GuestControl
import LabImages
import LabSpec

/// One virtio disk of a QEMU guest, and how its file is made before the start.
struct QEMUDrive: Sendable, Hashable {
    enum Preparation: Sendable, Hashable {
        case none
        /// A qcow2 overlay over this file, which is never written to.
        case overlay(base: String, format: ImageDisk.Format)
        case sparse(bytes: UInt64)
    }

    /// The files that QEMU opens.
    var chain: DiskChain
    var serial: String
    var isReadOnly: Bool
    var preparation: Preparation
    var isInDrive = false

    var path: String { chain.path }
    var format: ImageDisk.Format { chain.format }

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
            case .made(let chain):
                QEMUDrive(chain: chain, serial: disk.serial, isReadOnly: false, preparation: .none)
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

import LabEngine
import LabSpec
import struct MicroVM.VMConfiguration

/// One disk of a built-in machine, and what must be made before it starts. The built-in machine knows raw files only.
struct MicroVMDisk: Sendable, Hashable {
    /// What makes the file.
    enum Preparation: Sendable, Hashable {
        /// It is there.
        case none
        /// It is the raw contents of this qcow2 image.
        case converted(from: String)
        /// It is an empty sparse file of so many bytes.
        case sparse(bytes: UInt64)
    }

    /// What the machine is told.
    var disk: VMConfiguration.Disk
    var preparation = Preparation.none

    /// The files that go with the machine.
    var files: [String] { (preparation == .none ? [] : [disk.path]) + (disk.overlay.map { [$0] } ?? []) }

    /// All disks of a machine in the order the guest sees them: the image's, the lab's, the exchange disk.
    ///
    /// `formatOf` tells how a disk file from the lab is laid out.
    static func all(
        of configuration: MachineConfiguration, formatOf: (String) -> ImageDisk.Format
    ) -> [MicroVMDisk] {
        var disks: [MicroVMDisk] = []
        let folder = configuration.directory
        func add(_ path: String, _ format: ImageDisk.Format, serial: String, readOnly: Bool) {
            let number = disks.count
            switch format {
            case .raw:
                let overlay = readOnly ? nil : "\(folder)/overlay\(number)"
                disks.append(
                    MicroVMDisk(disk: .init(path: path, serial: serial, readOnly: readOnly, overlay: overlay)))
            case .qcow2:
                // The converted file is the machine's own, so it needs no overlay.
                disks.append(
                    MicroVMDisk(
                        disk: .init(path: "\(folder)/disk\(number).raw", serial: serial, readOnly: readOnly),
                        preparation: .converted(from: path)))
            }
        }
        for disk in configuration.image.disks {
            add(disk.path, disk.format, serial: disk.serial, readOnly: disk.readOnly)
        }
        for (index, disk) in configuration.disks.enumerated() {
            switch disk {
            case .scratch(let size):
                disks.append(
                    MicroVMDisk(
                        disk: .init(path: "\(folder)/scratch\(disks.count).raw", serial: "disk\(index)"),
                        preparation: .sparse(bytes: size.bytes)))
            case .file(let path): add(path, formatOf(path), serial: "disk\(index)", readOnly: false)
            }
        }
        if let exchange = configuration.exchangeDisk {
            disks.append(MicroVMDisk(disk: .init(path: exchange, serial: "vmlab-xchg")))
        }
        return disks
    }
}

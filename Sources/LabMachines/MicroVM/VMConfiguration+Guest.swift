import GuestControl
import QMP

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

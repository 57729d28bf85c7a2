import JSON
import LabEngine

/// What vmlab-vmm is told of a guest's machine; its README describes it. A pure function of what the machine is made of.
enum MicroVMConfiguration {
    /// The configuration of a machine without obstacles.
    static func json(_ configuration: MachineConfiguration, _ disks: [MicroVMDisk]) -> JSONValue {
        // Our images ask QEMU for virtio ports by these words. Here commands go over the second serial port, which is quick
        // enough and which every kernel has.
        let words = configuration.cmdline.split(separator: " ").filter {
            !$0.hasPrefix("vmlab.port=") && !$0.hasPrefix("vmlab.keys=")
        }
        return [
            "name": .string(configuration.name), "kernel": .string(configuration.image.kernel ?? ""),
            "cmdline": .string(words.joined(separator: " ")), "memory": .integer(pages(configuration.memory.bytes)),
            "cpus": .integer(Int64(configuration.cpus)), "com1": descriptor(MachineProcess.Descriptor.console),
            "com2": descriptor(MachineProcess.Descriptor.commands),
            "monitor": descriptor(MachineProcess.Descriptor.monitor), "disks": .array(disks.map(json)),
            "networks": .array(configuration.networks.map(json)),
            "initrd": configuration.image.initrd.map(JSONValue.string),
            "golden": configuration.goldenFolder.map { .string(MicroVMSaver.state(in: $0)) },
            "restore": configuration.restoring.map { .string($0.state) }, "snapshots": .string(configuration.directory),
        ]
    }

    private static func descriptor(_ number: Int32) -> JSONValue { ["fd": .integer(Int64(number))] }

    /// Whole pages of as many bytes, rounded up.
    private static func pages(_ bytes: UInt64) -> Int64 {
        let (pages, rest) = bytes.quotientAndRemainder(dividingBy: 4096)
        return Int64(clamping: (pages + (rest == 0 ? 0 : 1)).multipliedReportingOverflow(by: 4096).partialValue)
    }

    private static func json(_ disk: MicroVMDisk) -> JSONValue {
        [
            "path": .string(disk.path), "serial": .string(disk.serial), "readOnly": .bool(disk.isReadOnly),
            "overlay": disk.overlay.map(JSONValue.string),
        ]
    }

    private static func json(_ card: NetworkAttachment) -> JSONValue {
        ["mac": .string(card.mac), "local": .string(card.local), "remote": .string(card.remote)]
    }
}

import HostSystem
import GuestControl
import LabImages
import LabSpec

extension QEMUBackend {
    /// What a saved machine depends on (see the protocol): the arguments with names, folders, addresses and kernel words removed,
    /// the identity of the program's file (which is not run), and the host's CPU, because the guest has seen its features.
    package func fingerprint(of configuration: MachineConfiguration) -> String? {
        let plain = Self.plain(configuration)
        let drives = QEMUDrive.all(of: plain) { DiskChain(path: $0, format: $1 ?? .raw) }
        let lines = commandLine.arguments(for: plain, drives: drives)
        let host = [Self.identity(of: executable), processor]
        return (lines + host + DiskChain.stamps(of: configuration)).joined(separator: "\n")
    }

    /// The configuration without the parts that may differ between machines restored from one state.
    private static func plain(_ configuration: MachineConfiguration) -> MachineConfiguration {
        var plain = configuration
        plain.name = "guest"
        plain.directory = "/machine"
        (plain.goldenFolder, plain.restoring) = ("/golden", nil)
        // The caller compares images by their ids.
        plain.image.kernel = plain.image.kernel.map { _ in "/kernel" }
        plain.image.initrd = plain.image.initrd.map { _ in "/initrd" }
        plain.image.firmware = plain.image.firmware.map { _ in "/firmware" }
        for index in plain.image.disks.indices { plain.image.disks[index].path = "/image/\(index)" }
        plain.disks = plain.disks.map {
            if case .file(_, let format) = $0 { .file(path: "/disk", format: format) } else { $0 }
        }
        if plain.exchangeDisk != nil { plain.exchangeDisk = "/machine/exchange" }
        plain.networks = plain.networks.map { _ in
            NetworkAttachment(mac: "52:54:00:00:00:00", local: "/card", remote: "/switch")
        }
        // Only the kernel words that choose devices matter, and those are among the arguments.
        let devices = plain.cmdline.split(separator: " ").filter {
            $0.hasPrefix("vmlab.") && !$0.hasPrefix("vmlab.guest=")
        }
        plain.cmdline = devices.joined(separator: " ")
        return plain
    }

    /// Another build has another size, time or inode.
    private static func identity(of path: String) -> String {
        FileStamp(path).map { "\(path) \($0)" } ?? path
    }

    /// The host's CPU as its kernel reports it; guests under KVM see all its features.
    private var processor: String {
        let wanted =
            commandLine.accelerator == .kvm ? ["model name", "stepping", "microcode", "flags"] : ["model name"]
        let lines = (SmallFile.text("/proc/cpuinfo") ?? "").split(separator: "\n")
        return wanted.compactMap { name in lines.first { $0.hasPrefix(name) } }.joined(separator: "\n")
    }
}

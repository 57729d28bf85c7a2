import Hashing
import LabSpec

/// What a recipe made, in the cache, and held there.
struct ImagePart: Sendable {
    let folder: String
    let manifest: ImageManifest
    let lease: FolderLease

    /// A file's path; nil when the recipe made none of that name.
    func path(_ name: String) -> String? {
        manifest.files.contains { $0.name == name } ? "\(folder)/\(name)" : nil
    }

    /// Its disks in the order in which guests see them: the root file system, the kernel's modules.
    var disks: [ImageDisk] {
        [
            path("root.qcow2").map { ImageDisk(path: $0, format: .qcow2, serial: "vmlab-root", readOnly: false) },
            path("modules.squashfs").map { ImageDisk(path: $0, format: .raw, serial: "vmlab-modules", readOnly: true) },
        ].compactMap { $0 }
    }
}

extension CatalogImage {
    /// The image ready to boot, from what its recipes made.
    func bootable(_ made: ImagePart, kernel: ImagePart?) -> BootableImage {
        let parts = [made] + (kernel.map { [$0] } ?? [])
        let starter = kernel ?? made
        let isSystemd = debian?.start == .systemd
        let usual = ShutdownCommands(of: system.console, isFreestanding: system.isFreestanding)
        return BootableImage(
            name: name, id: id(of: parts.map(\.manifest)) ?? "", os: system.os, kernel: starter.path("kernel"),
            initrd: starter.path("initrd"),
            disks: parts.flatMap(\.disks),
            cmdline: system.cmdline
                + (isSystemd ? " " + (Recipe.header("systemd-cmdline", of: system.script) ?? "") : ""),
            console: system.console,
            defaultMemory: system.memory, minimumMemory: system.minimumMemory, isFreestanding: system.isFreestanding,
            hold: Hold(parts.map(\.lease)),
            shutdown: isSystemd
                ? ShutdownCommands(powerOff: "systemctl poweroff", reboot: "systemctl reboot")
                : system.shutdown.map { ShutdownCommands(powerOff: "\($0) poweroff", reboot: "\($0) reboot") } ?? usual)
    }

    /// A hash of all contents, from the manifests of its recipes' folders; nil when one is missing.
    func id(of manifests: [ImageManifest?]) -> String? {
        let ids = manifests.compactMap(\.?.id)
        guard ids.count == manifests.count else { return nil }
        return ids.count == 1 ? ids[0] : SHA256.hex(ids.joined())
    }
}

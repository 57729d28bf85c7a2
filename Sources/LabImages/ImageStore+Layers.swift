import Diagnostics
import Foundation
import Hashing
import HostSystem
import LabSpec
import Quantities

extension ImageStore {
    /// An image with a layer added to its disk, made first when it is missing or damaged, or when `isFresh`. One process makes it
    /// at a time. Throws a `Diagnostic`, also when a file changes meanwhile, and `CancellationError`.
    /// `disks` and `strings` are for the guest in which it is made; their contents are part of what the layer says.
    func image(
        _ parent: BootableImage, with layer: ImageLayer, by setup: any ImageSetup, isFresh: Bool = false,
        access: HostAccess, disks: [ImageDisk] = [], strings: [String] = [], progress: @escaping ImageProgress
    ) async throws -> BootableImage {
        let contents = try await ContentHash.of(layer, access: access)
        let key = String(SHA256.hex("\(parent.id)\n\(contents)\n").prefix(16))
        let name = "\(layer.name)-\(key)"
        let folder = "\(directory)/images/\(name)"
        do {
            for part in ["images", "build", "logs", "locks"] { try FileTree.makeFolder("\(directory)/\(part)") }
            if !isFresh, let part = try await layerPart(name, progress) { return part.layered(on: parent) }
            let lock = try await FileLock.acquire("\(directory)/locks/\(name)") { holder in
                progress("waiting for \(describe(holder)), which is building it", nil)
            }
            defer { lock.release() }
            if !isFresh, let part = try await layerPart(name, { _, _ in }) { return part.layered(on: parent) }
            let scratch = "\(directory)/build/\(name)"
            try FileTree.remove(scratch)
            defer { try? FileTree.remove(scratch) }
            try FileTree.makeFolder("\(scratch)/out")
            var parent = parent
            parent.strings = strings
            let learned = try await make(
                layer, on: parent, with: disks, in: scratch, by: setup, access: access,
                logs: "\(directory)/logs/\(name)", progress)
            guard try await ContentHash.of(layer, access: access) == contents else {
                throw Diagnostic(
                    .image, "a file of the image \(layer.name) changed while the image was made",
                    remedy: "leave its `files:` alone and run it again", at: layer.span)
            }
            let manifest = ImageManifest(
                image: layer.name, key: key, built: Date(), packages: [],
                variant: layer.isAgent ? learned?.summary ?? "" : "made from \(parent.name)",
                learned: learned, files: try await ImageManifest.files(in: "\(scratch)/out"))
            try manifest.write(in: "\(scratch)/out")
            try CacheFolder.publish("\(scratch)/out", as: folder, aside: "\(scratch)/damaged")
            guard let part = try await layerPart(name, progress) else {
                throw Diagnostic(.image, "the image \(layer.name) is incomplete after it was made")
            }
            progress("ready", 1)
            return part.layered(on: parent)
        } catch let error as SystemCallError {
            throw BuildFailure.fullDisk(near: directory) ?? error.diagnostic("cannot make the image \(layer.name)")
        }
    }

    /// What is left to do in a guest of a built image: packages that could not be configured in a mere folder, such as those that
    /// start programs as users of their own. Nil when nothing is.
    func rest(of image: CatalogImage) -> ImageLayer? {
        guard SmallFile.text("\(folder(of: image.system))/unconfigured") != nil else { return nil }
        return ImageLayer(name: image.system.name, setup: "DEBIAN_FRONTEND=noninteractive dpkg --configure -a")
    }

    /// Makes `out/root.qcow2` in `scratch`. Returns what an agent's installation has learned; without an agent there is no disk.
    private func make(
        _ layer: ImageLayer, on parent: BootableImage, with disks: [ImageDisk], in scratch: String,
        by setup: any ImageSetup, access: HostAccess, logs: String, _ progress: @escaping ImageProgress
    ) async throws -> LearnedGuest? {
        guard let place = parent.rootDisk else {
            throw Diagnostic(.image, "the image \(parent.name) has no disk to add something to", at: layer.span)
        }
        let (base, disk) = (parent.disks[place], "\(scratch)/root.qcow2")
        try await qemuImg(
            ["create", "-q", "-f", "qcow2", "-F", base.format.driver, "-b", base.path, disk], layer, near: scratch)
        if let size = layer.size {
            // Its initial file system finds the disk larger than the file system, which grows.
            try await grow(disk, to: size, layer, near: scratch)
        }
        try FileTree.remove(logs)
        var guest = parent.with(root: disk, isBeingMade: true)
        guest.disks += disks
        let said = try await setup.add(layer, to: guest, access: access, logs: logs, progress: progress)
        let learned = layer.isAgent ? LearnedGuest(said) : nil
        if let learned, !learned.isWhole {
            throw Diagnostic(
                .image, "vmlab's agent could not be installed in the image \(layer.name)",
                remedy: "its output and the guest's console lie in \(logs); `agent: false` does without", at: layer.span
            )
        }
        if let learned, learned.channel == nil {
            try SmallFile.replace("\(scratch)/out/obstacle", with: Array((learned.obstacle ?? "").utf8))
            return learned
        }
        // One file that needs no other: its parent may go.
        progress("saving", nil)
        try await qemuImg(["convert", "-q", "-O", "qcow2", disk, "\(scratch)/out/root.qcow2"], layer, near: scratch)
        return learned
    }

    private func grow(_ disk: String, to size: ByteCount, _ layer: ImageLayer, near scratch: String) async throws {
        let result = try await Tool.run("qemu-img", ["resize", "-q", disk, "\(size.bytes)"], package: "qemu-utils")
        let refusal = "the disk of the image \(layer.name) cannot be made of \(size)"
        if result.errors.contains(where: { $0.contains("hrink") }) {
            throw Diagnostic(
                .specification, refusal, remedy: "leave `size:` out, or write a larger one: a disk only grows",
                cause: "what it is made from is larger", at: layer.span)
        }
        try BuildFailure.check(result, refusal, near: scratch) { nil }
    }

    private func qemuImg(_ arguments: [String], _ layer: ImageLayer, near scratch: String) async throws {
        let result = try await Tool.run("qemu-img", arguments, package: "qemu-utils")
        try BuildFailure.check(result, "cannot make the disk of the image \(layer.name)", near: scratch) { nil }
    }

    private func layerPart(_ name: String, _ progress: ImageProgress) async throws -> ImagePart? {
        let folder = "\(directory)/images/\(name)"
        guard FileTree.exists(folder), let lease = FolderLease(folder) else { return nil }
        guard let manifest = ImageManifest(in: folder) else { return nil }
        let checked = CheckedFiles(cacheDirectory: directory, name: name)
        if let damage = try await manifest.damage(in: folder, checked: checked) {
            progress("it is damaged (\(damage)) and is made again", nil)
            return nil
        }
        lease.noteUse()
        return ImagePart(folder: folder, manifest: manifest, lease: lease)
    }
}

extension ImagePart {
    /// The image that this layer makes of its parent.
    fileprivate func layered(on parent: BootableImage) -> BootableImage {
        var image = path("root.qcow2").map { parent.with(root: $0) } ?? parent
        image.name = manifest.image
        image.strings = []
        // What it boots is its parent's kernel.
        image.id = SHA256.hex("\(manifest.id)\n\(parent.id)\n")
        image.hold = parent.hold + Hold([lease])
        manifest.learned.map { image.apply($0) }
        return image
    }
}

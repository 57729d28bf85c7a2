import Diagnostics
import HostSystem
import LabSpec

/// Disks that a lab brings: fetched, looked at, and given the agent.
extension ImageSupply {
    /// The image of a declaration that is made from no other. Throws as `images` does.
    func own(
        _ image: DeclaredImage, isFresh: Bool, progress: @escaping ImageProgress
    ) async throws -> BootableImage {
        var image = image
        if let download = image.declaration.download {
            let path = try await store.fetch(download, at: image.declaration.keySpans["disk"], progress: progress)
            image.declaration.disk = path
        }
        var bootable = try image.bootable(on: nil)
        switch try await store.start(of: bootable, declared: image) {
        case .asDeclared: break
        case .firmware(let file): bootable.firmware = file
        case .nothing:
            // The firmware would run whatever is there, or say nothing. Other guests of the lab have their own disks.
            bootable.agentObstacle = "its disk has no boot loader"
            bootable.bootObstacle = BootObstacle(
                "there is no bootable system on the guest's disk: its first sector has no program, and there is no EFI "
                    + "system partition",
                remedy: "the disk is blank or has no boot loader: install one in it, such as GRUB, or give the image a "
                    + "`kernel:` and `cmdline: root=…`")
            return bootable
        }
        guard image.takesAgent else {
            if image.declaration.agent == false { progress(Self.withoutAgent, nil) }
            return bootable
        }
        let installation = AgentInstallation(image)
        let agent = try await store.part(AgentInstallation.recipe, progress)
        guard let disk = agent.path("agent.img") else {
            throw Diagnostic(
                .image, "vmlab's agent is incomplete", remedy: "`vmlab images prune` removes what is left of it")
        }
        var disks = [ImageDisk(path: disk, format: .raw, serial: "vmlab-agent", readOnly: true)]
        let seed = installation.needsSeed ? CloudInitSeed.userData(image.declaration.cloudInit) : ""
        let folder = try store.makeScratch()
        defer { try? FileTree.remove(folder) }
        if installation.needsSeed {
            let path = "\(folder)/seed.img"
            try await CloudInitSeed.make(
                at: path, for: image.declaration.cloudInit, instance: "vmlab-\(bootable.id.prefix(16))",
                host: image.declaration.name, in: folder)
            disks.append(ImageDisk(path: path, format: .raw, serial: "vmlab-seed", readOnly: true))
        }
        var guest = bootable
        guest.console = installation.console
        guest.shutdown = installation.shutdown
        var made = try await store.image(
            guest, with: installation.layer(seed: seed, agent: agent.manifest.id), by: setup, isFresh: isFresh,
            access: image.access, disks: disks, strings: installation.bringsLogin ? CloudInitSeed.strings : [],
            progress: progress)
        if let obstacle = made.agentObstacle {
            progress("\(Self.withoutAgent) (\(obstacle))", nil)
            // It is logged in to as the lab says.
            (made.console, made.shutdown) = (bootable.console, bootable.shutdown)
        }
        return made
    }

    private static let withoutAgent =
        "used as it is, without vmlab's agent: commands share the kernel's console, files go over it, and names, networks and "
        + "clones need the guest's own tools"
}

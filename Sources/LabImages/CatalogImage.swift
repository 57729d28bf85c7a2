import LabSpec

/// An image of the catalog: made whole by one recipe, or a system with a kernel of its own or of another.
package struct CatalogImage: Sendable {
    package let name: String
    /// Makes the image, or all of it but the kernel.
    package let system: Recipe
    /// Makes the kernel, its initial RAM disk and its modules; nil when `system` does.
    package let kernel: Recipe?
    /// What a whole Debian is made of; nil for others.
    let debian: DebianSystem?

    package init(_ system: Recipe, named name: String? = nil) {
        self.init(system, named: name ?? system.name, kernel: nil, debian: nil)
    }

    init(_ system: Recipe, named name: String, kernel: Recipe?, debian: DebianSystem?) {
        self.name = name
        self.system = system
        self.kernel = kernel
        self.debian = debian
    }

    var recipes: [Recipe] { [system] + (kernel.map { [$0] } ?? []) }

    /// What is known of it before it is built.
    package var facts: ImageFacts {
        ImageFacts(
            os: system.os, defaultMemory: system.memory, minimumMemory: system.minimumMemory,
            isFreestanding: system.isFreestanding,
            isCloneable: system.console.announces && !system.isFreestanding)
    }

    /// The release of Debian that it is, whole; nil for others.
    var release: DebianRelease? { debian?.release }
}

/// A whole Debian, as a lab wants it.
struct DebianSystem: Sendable, Hashable {
    var release: DebianRelease
    var start = InitSystem.small
    /// Packages beside those of the recipe.
    var packages: [String] = []
    /// Bytes of its root file system, of which a disk takes only what is used.
    var size: UInt64 = 8 << 30
    /// The release whose kernel it boots.
    var kernel: DebianRelease

    init(_ release: DebianRelease) {
        self.release = release
        kernel = release
    }

    func image(named name: String) -> CatalogImage {
        let script = PackageResources.debian_root_sh
        let services = start == .systemd ? Recipe.header("systemd-packages", of: script) ?? "" : ""
        let wanted = services.split(separator: " ").map(String.init) + Set(packages).sorted()
        let system = Recipe(
            name: "debian-\(release.number)", script: script, files: ImageCatalog.supportFiles, release: release,
            adding: wanted, isSystem: true, variables: ["VMLAB_INIT": start.rawValue, "VMLAB_SIZE": "\(size)"])
        return CatalogImage(system, named: name, kernel: Self.kernel(of: kernel), debian: self)
    }

    private static func kernel(of release: DebianRelease) -> Recipe {
        Recipe(
            name: "linux-\(release.number)", script: PackageResources.debian_kernel_sh,
            files: ImageCatalog.supportFiles, release: release, adding: ["linux-image-cloud-amd64"])
    }
}

extension CatalogImage {
    /// This image with a release's kernel.
    func with(kernel release: DebianRelease) -> CatalogImage {
        guard var debian else { return self }
        debian.kernel = release
        return debian.image(named: name)
    }

    /// Whether it has a disk that its guests write to.
    var hasDisk: Bool { system.hasDisk }
}

import Diagnostics
import Foundation
import Glibc
import HostSystem
import LabSpec
import Logging

/// One line of `vmlab images list`.
package struct ImageEntry: Sendable {
    package let name: String
    package let os: GuestOS
    /// Whether it is built from the current recipe.
    package let isBuilt: Bool
    /// Bytes on disk; nil when it is not built.
    package let size: UInt64?
    /// When it was built; nil when it is not.
    package let built: Date?
    /// The release of its Linux kernel; nil when it is not built.
    package let kernel: String?
    /// How many Debian packages its system has; nil when it is not built, or is no whole Debian.
    package let packages: Int?
}

/// One line of `vmlab images list` for what a lab asked for in its own way.
package struct LabsImage: Sendable {
    /// The lab's image, or the system that packages were added to.
    package let name: String
    /// What makes it another than that of the catalog, such as its packages.
    package let variant: String
    /// Bytes on disk.
    package let size: UInt64
    package let built: Date
    package let used: Date
}

/// The catalog's images on this host: built on first request, then kept.
///
/// ```
/// images/<name>-<key>/   kernel, initrd, disks, manifest.json; appears whole or not at all
/// build/<name>-<pid>/    a build in progress, or what a killed one left
/// debs/                  downloaded packages, shared by all images
/// apt/<release>/         a release's sources and lists of packages
/// kernels/               unpacked kernels of labs' own, see `KernelCache`
/// goldens/               machines saved at their ready point, see `GoldenStore`
/// checked/               which of the files were read and found right, see `CheckedFiles`
/// logs/<name>-<key>/     what the guest printed in which a lab's image was made
/// locks/                 one lock file per image, one for debs/
/// ```
/// The key is a hash of the recipe, so a new recipe makes a new image and does not affect guests of the old one. An image in
/// use is held by `BootableImage.hold`, which prevents its removal.
package struct ImageStore: Sendable {
    package let directory: String
    package let catalog: ImageCatalog
    /// Seconds without use after which `prune` removes what a lab asked for in its own way.
    static let labsImageAge = 30 * 86400.0

    /// `$XDG_CACHE_HOME/vmlab`, else `~/.cache/vmlab`.
    package static var defaultDirectory: String {
        if let cache = Environment["XDG_CACHE_HOME"], cache.hasPrefix("/") { return "\(cache)/vmlab" }
        return "\(Environment["HOME"] ?? NSHomeDirectory())/.cache/vmlab"
    }

    /// What the program that fetches disks finds in its environment beside vmlab's own; for tests.
    let fetchEnvironment: [String: String]

    /// The store in `cacheDirectory`, which is created with the first image.
    package init(
        cacheDirectory: String = Self.defaultDirectory, catalog: ImageCatalog = .standard,
        fetchEnvironment: [String: String] = [:]
    ) {
        directory = cacheDirectory
        self.catalog = catalog
        self.fetchEnvironment = fetchEnvironment
    }

    // MARK: Getting images

    /// The image of that name in the catalog; see `image(_:progress:)`.
    package func image(named name: String, progress: @escaping ImageProgress) async throws -> BootableImage {
        guard let image = catalog[name] else { throw catalog.unknown(name) }
        return try await self.image(image, progress: progress)
    }

    /// An image, built first where it is missing or damaged. An existing image needs no network. One process builds at a time and
    /// others wait; `progress` reports both. Cancellation stops the build and throws `CancellationError`; other errors are a
    /// `Diagnostic`.
    func image(_ image: CatalogImage, progress: @escaping ImageProgress) async throws -> BootableImage {
        let system = try await part(image.system, progress)
        var kernel: ImagePart?
        if let recipe = image.kernel { kernel = try await part(recipe, progress) }
        return image.bootable(system, kernel: kernel)
    }

    /// What a recipe makes, made first when it is missing or damaged.
    func part(_ recipe: Recipe, _ progress: @escaping ImageProgress) async throws -> ImagePart {
        let log = Logger(label: "vmlab.images")
        let begun = ContinuousClock.now
        if let part = try await existing(recipe, progress) {
            log.debug("image found", metadata: ["image": "\(recipe.name)", "ms": "\(begun.millisecondsAgo)"])
            return part
        }
        log.debug("image is built", metadata: ["image": "\(recipe.name)", "folder": "\(folder(of: recipe))"])
        let part = try await build(recipe) { step, fraction in
            log.debug("building", metadata: ["image": "\(recipe.name)", "step": "\(step)"])
            progress(step, fraction)
        }
        log.debug("image is ready", metadata: ["image": "\(recipe.name)", "ms": "\(begun.millisecondsAgo)"])
        return part
    }

    private func existing(_ recipe: Recipe, _ progress: ImageProgress) async throws -> ImagePart? {
        let folder = folder(of: recipe)
        guard access(folder, F_OK) == 0 else { return nil }
        let lease = FolderLease(folder)
        let (manifest, damage) = try await examine(recipe)
        if let damage { progress("it is damaged (\(damage)) and is built again", nil) }
        guard let lease, let manifest, damage == nil else { return nil }
        lease.noteUse()
        return ImagePart(folder: folder, manifest: manifest, lease: lease)
    }

    /// The manifest in an image's folder, and the damage to its files; nil when there is none. Verified files are read only if
    /// `again` is set.
    private func examine(_ recipe: Recipe, again: Bool = false) async throws -> (ImageManifest?, damage: String?) {
        let folder = folder(of: recipe)
        guard let manifest = ImageManifest(in: folder) else {
            return (nil, "its manifest is missing or damaged")
        }
        do {
            return (manifest, try await manifest.damage(in: folder, checked: checked(recipe), again: again))
        } catch let error as SystemCallError {
            throw error.diagnostic("cannot read the image \(recipe.name)")
        }
    }

    private func checked(_ recipe: Recipe) -> CheckedFiles {
        CheckedFiles(cacheDirectory: directory, name: "\(recipe.name)-\(recipe.key)")
    }

    /// Builds what a recipe makes, also where it is there already if `again`; its former build goes when no lab uses it any more.
    func build(_ recipe: Recipe, again: Bool = false, _ progress: @escaping ImageProgress) async throws -> ImagePart {
        do throws(SystemCallError) {
            for folder in ["images", "build", "debs", "locks"] { try FileTree.makeFolder("\(directory)/\(folder)") }
        } catch {
            throw error.diagnostic("cannot use the image cache \(directory)")
        }
        let lock = try await FileLock.acquire(lockPath(recipe)) { holder in
            progress("waiting for \(describe(holder)), which is building it", nil)
        }
        defer { lock.release() }
        // Another process may have built it during the wait.
        if !again, let part = try await existing(recipe, { _, _ in }) { return part }
        removeLeftovers(of: recipe)
        let scratch = "\(directory)/build/\(recipe.name)-\(getpid())"
        defer { try? FileTree.remove(scratch) }
        do {
            try FileTree.makeFolder(scratch)
            let build = ImageBuild(
                recipe: recipe, packages: packages(of: recipe), variant: isCatalogs(recipe) ? nil : recipe.variant,
                scratch: scratch,
                progress: progress)
            let built = try await build.run()
            // A lab that runs would begin its next guest from another disk.
            if again, case .inUse = CacheFolder.removeUnused(folder(of: recipe)) {
                throw Diagnostic(
                    .image, "the image \(recipe.name) is in use by a running lab",
                    remedy: "update it when the lab has ended")
            }
            try CacheFolder.publish(built, as: folder(of: recipe), aside: "\(built).damaged")
        } catch let error as SystemCallError {
            throw error.diagnostic("cannot build the image \(recipe.name)")
        }
        guard let part = try await existing(recipe, progress) else {
            throw Diagnostic(.image, "the image \(recipe.name) is incomplete after its build")
        }
        progress("ready", 1)
        return part
    }

    func packages(of recipe: Recipe) -> PackageCache {
        PackageCache(
            directory: "\(directory)/debs", lock: "\(directory)/locks/debs",
            apt: recipe.release.map { Apt($0, cacheDirectory: directory) } ?? .host)
    }

    /// An empty folder for the work on a lab's own disk; its maker removes it.
    func makeScratch() throws -> String {
        let folder = "\(directory)/build/\(Self.scratch)\(UUID().uuidString)"
        do throws(SystemCallError) {
            try FileTree.makeFolder(folder)
        } catch {
            throw error.diagnostic("cannot use the image cache \(directory)")
        }
        return folder
    }

    private static let scratch = "own-"

    /// Every recipe of vmlab's own.
    private var recipes: [Recipe] { catalog.recipes + [AgentInstallation.recipe] }

    private func isCatalogs(_ recipe: Recipe) -> Bool {
        recipes.contains { $0.name == recipe.name && $0.key == recipe.key }
    }

    /// Removes leftovers of killed builds; requires the image's lock. What cannot be removed stays for the next time.
    @discardableResult
    private func removeLeftovers(of recipe: Recipe) -> UInt64 {
        CacheFolder.remove(in: "\(directory)/build") { $0.hasPrefix("\(recipe.name)-") }
    }

    // MARK: Listing and removing

    package func list() -> [ImageEntry] {
        catalog.images.map { image in
            let manifests = image.recipes.map(manifest)
            let isBuilt = manifests.allSatisfy { $0 != nil }
            return ImageEntry(
                name: image.name, os: image.system.os, isBuilt: isBuilt,
                size: isBuilt ? image.recipes.map { FileTree.space(of: folder(of: $0)) }.reduce(0, +) : nil,
                built: isBuilt ? manifests.compactMap(\.?.built).min() : nil,
                kernel: isBuilt ? manifests.compactMap { $0?.kernelRelease }.last : nil,
                packages: image.release == nil ? nil : manifests[0]?.packages.count)
        }
    }

    /// What labs have asked for in their own way and is still there, the least recently used last.
    package func listLabs() -> [LabsImage] {
        let names = (try? FileTree.names(in: "\(directory)/images")) ?? []
        return names.compactMap { name -> LabsImage? in
            let folder = "\(directory)/images/\(name)"
            guard let manifest = ImageManifest(in: folder), let variant = manifest.variant,
                let used = FileStamp("\(folder)/\(manifestName)")?.modified
            else { return nil }
            return LabsImage(
                name: manifest.image, variant: variant, size: FileTree.space(of: folder), built: manifest.built,
                used: Date(timeIntervalSince1970: Double(used) / 1e9))
        }.sorted { $0.used > $1.used }
    }

    /// Removes all versions of an image and its goldens, except those that a lab holds from the lookup of its images to its end.
    /// Waits for a build of it to end. A declared image has only goldens. Throws a `Diagnostic` when there is no such image or it
    /// cannot be removed; an image that is not built is no error.
    @discardableResult
    package func remove(_ name: String) async throws -> CacheCleaning {
        let goldens = GoldenStore(cacheDirectory: directory)
        var cleaning = CacheCleaning()
        guard let image = catalog[name] else {
            guard goldens.knows(image: name) else { throw catalog.unknown(name) }
            return goldens.remove(image: name)
        }
        guard access("\(directory)/locks", F_OK) == 0 else { return cleaning }
        do {
            for recipe in image.recipes { cleaning += try await remove(recipe, of: name) }
        } catch let error as SystemCallError {
            throw error.diagnostic("cannot remove the image \(name)")
        }
        cleaning += goldens.remove(image: name)
        return cleaning
    }

    private func remove(_ recipe: Recipe, of image: String) async throws -> CacheCleaning {
        var cleaning = CacheCleaning()
        let lock = try await FileLock.acquire(lockPath(recipe))
        defer { lock.release() }
        cleaning.freed += removeLeftovers(of: recipe)
        for entry in try FileTree.names(in: "\(directory)/images") where Self.imageName(entry) == recipe.name {
            let path = "\(directory)/images/\(entry)"
            switch CacheFolder.removeUnused(path) {
            case .removed(let space): cleaning.freed += space
            case .inUse: if !cleaning.imagesInUse.contains(image) { cleaning.imagesInUse.append(image) }
            // Throws the reason.
            case .failed: try FileTree.remove(path)
            }
        }
        return cleaning
    }

    /// Removes what no image of this catalog needs: images of older recipes, damaged ones, leftovers of killed builds,
    /// downloads that no built image uses, unpacked kernels unused for an hour, and goldens as `GoldenStore.prune` does, or all
    /// goldens and their recorded failures. Keeps what another process is building or a running lab uses.
    package func prune(allGoldens: Bool = false) async throws -> CacheCleaning {
        guard access("\(directory)/locks", F_OK) == 0 else { return CacheCleaning() }
        var freed: UInt64 = 0
        var isBusy = false
        for recipe in recipes {
            guard let lock = try? FileLock.tryAcquire(lockPath(recipe)) else {
                isBusy = true
                continue
            }
            defer { lock.release() }
            freed += removeLeftovers(of: recipe)
        }
        let current = Set(recipes.filter { manifest(of: $0) != nil }.map { "\($0.name)-\($0.key)" })
        freed += removeUnused { !current.contains($0) && !isLabs($0) }
        freed += CacheFolder.remove(in: "\(directory)/build") {
            $0.hasPrefix(Self.scratch) && isOld("\(directory)/build/\($0)")
        }
        freed += CacheFolder.remove(in: "\(directory)/downloads") { isOld("\(directory)/downloads/\($0)") }
        freed += CacheFolder.remove(in: "\(directory)/logs") { isOld("\(directory)/logs/\($0)") }
        freed += KernelCache(cacheDirectory: directory).prune()
        // A build in progress may need any download.
        if !isBusy, let lock = try? FileLock.tryAcquire("\(directory)/locks/debs") {
            defer { lock.release() }
            let kept = (try? FileTree.names(in: "\(directory)/images")) ?? []
            let used = Set(
                kept.flatMap { ImageManifest(in: "\(directory)/images/\($0)")?.packages.map(\.file) ?? [] })
            freed += CacheFolder.remove(in: "\(directory)/debs") { !used.contains($0) }
        }
        var cleaning = CacheCleaning(freed: freed)
        let goldens = GoldenStore(cacheDirectory: directory)
        if allGoldens { goldens.forgetFailures { _ in true } }
        cleaning += goldens.prune { golden in
            // Goldens of declared images are removed only by age.
            guard !allGoldens, let image = catalog[golden.image] else { return allGoldens }
            return image.id(of: image.recipes.map(manifest)) != golden.imageID
        }
        let checked = CheckedFiles.folder(in: directory)
        CacheFolder.remove(in: checked) { name in
            let golden = name.hasPrefix(GoldenStore.prefix) ? String(name.dropFirst(GoldenStore.prefix.count)) : nil
            let folder = golden.map { "goldens/\($0)" } ?? "images/\(name)"
            return access("\(directory)/\(folder)", F_OK) != 0
        }
        return cleaning
    }

    /// Whether a folder is an image that a lab asked for in its own way, and that some lab has used in the last month.
    private func isLabs(_ name: String) -> Bool {
        let folder = "\(directory)/images/\(name)"
        guard let manifest = ImageManifest(in: folder), manifest.variant != nil else { return false }
        return manifest.visibleDamage(in: folder) == nil && !isOld("\(folder)/\(manifestName)")
    }

    private func isOld(_ path: String) -> Bool {
        guard let modified = FileStamp(path)?.modified else { return true }
        return Date().timeIntervalSince1970 - Double(modified) / 1e9 > Self.labsImageAge
    }

    /// Removes image folders that no lab uses; returns the bytes freed.
    private func removeUnused(where isUnwanted: (String) -> Bool) -> UInt64 {
        var freed: UInt64 = 0
        for name in (try? FileTree.names(in: "\(directory)/images")) ?? [] where isUnwanted(name) {
            if case .removed(let space) = CacheFolder.removeUnused("\(directory)/images/\(name)") { freed += space }
        }
        return freed
    }

    /// Reads every file of the built images and goldens, of one name or all, and reports the damage of each. Damaged ones are made
    /// again on their next use. Throws a `Diagnostic` when there is no such image or a file cannot be read.
    package func verify(_ name: String? = nil, found: (CacheFinding) -> Void) async throws {
        let goldens = GoldenStore(cacheDirectory: directory)
        if let name, catalog[name] == nil, !goldens.knows(image: name) {
            throw catalog.unknown(name)
        }
        for recipe in name.map({ catalog[$0]?.recipes ?? [] }) ?? catalog.recipes {
            guard access(folder(of: recipe), F_OK) == 0 else { continue }
            found(CacheFinding(image: recipe.name, golden: nil, damage: try await examine(recipe, again: true).damage))
        }
        try await goldens.verify(image: name) { golden, damage in
            found(CacheFinding(image: golden.image, golden: golden, damage: damage))
        }
    }

    /// The folder of a built image's files, or of its kernel's where that is another. Throws a `Diagnostic` when the catalog has no
    /// such image, or its current recipe is not built.
    package func path(of name: String, kernel: Bool = false) throws(Diagnostic) -> String {
        guard let image = catalog[name] else { throw catalog.unknown(name) }
        let recipe = kernel ? image.kernel ?? image.system : image.system
        guard manifest(of: recipe) != nil else {
            throw Diagnostic(
                .image, "the image \(name) is not built", remedy: "build it: `vmlab images build \(name)`")
        }
        return folder(of: recipe)
    }

    // MARK: Paths

    func folder(of recipe: Recipe) -> String { "\(directory)/images/\(recipe.name)-\(recipe.key)" }
    private func lockPath(_ recipe: Recipe) -> String { "\(directory)/locks/\(recipe.name)" }

    /// The image's name from the name of its folder.
    private static func imageName(_ folder: String) -> String {
        folder.lastIndex(of: "-").map { String(folder[..<$0]) } ?? folder
    }

    /// The manifest of the recipe's image, if it exists and is intact.
    func manifest(of recipe: Recipe) -> ImageManifest? {
        let folder = folder(of: recipe)
        guard let manifest = ImageManifest(in: folder), manifest.visibleDamage(in: folder) == nil else {
            return nil
        }
        return manifest
    }
}

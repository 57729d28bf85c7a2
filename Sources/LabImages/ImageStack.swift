import Diagnostics
import HostSystem
import LabSpec
import Quantities

/// What is added to an image's disk in a guest of it.
package struct ImageLayer: Sendable, Hashable {
    /// The image that it makes.
    package var name: String
    /// Debian packages that the guest's apt installs.
    package var packages: [String] = []
    package var files: [FileCopy] = []
    package var setup: String?
    /// The guest's RAM; nil takes the image's.
    package var memory: ByteCount?
    /// The size that its disk is to have, with the file system on it; nil leaves it.
    package var size: ByteCount?
    /// Whether it is the agent's installation in a lab's own disk.
    package var isAgent = false
    /// Where the image is declared.
    package var span: SourceSpan?
}

/// How an image comes about: one of the catalog, as a lab wants it, then what guests add to its disk, then what the lab says of
/// how it is booted.
struct ImageStack {
    /// A whole Debian, while nothing has been added to its disk.
    var debian: DebianSystem?
    /// The image of the catalog that it begins with; nil for an image that the lab brings.
    var base: CatalogImage?
    var layers: [ImageLayer] = []
    /// The lab's declarations, innermost first.
    var declarations: [ImageDeclaration] = []

    /// The stack of an image of a lab; nil when there is no such image. Throws a `Diagnostic` for what cannot be made, at its key.
    init?(_ name: String, in lab: Lab, catalog: ImageCatalog) throws(Diagnostic) {
        var names = [name]
        while let declared = lab.images[names[names.count - 1]], let from = declared.from, from != declared.name,
            names.count <= lab.images.count
        {
            names.append(from)
        }
        if let declared = lab.images[names[names.count - 1]] {
            base = declared.from.flatMap { catalog[$0] }
            if declared.from != nil, base == nil { return nil }
        } else {
            guard let image = catalog[names.removeLast()] else { return nil }
            base = image
        }
        debian = base?.debian
        for name in names.reversed() {
            if let declaration = lab.images[name] { try add(declaration, catalog) }
        }
    }

    private mutating func add(_ image: ImageDeclaration, _ catalog: ImageCatalog) throws(Diagnostic) {
        declarations.append(image)
        func refuse(_ key: String, _ message: String, _ remedy: String) -> Diagnostic {
            Diagnostic(.specification, message, remedy: remedy, at: image.keySpans[key] ?? image.span)
        }
        let onlyDebian = "make it from `debian` or one of its releases"
        if let kernel = image.kernelOf {
            guard base?.debian != nil else {
                throw refuse("kernel", "only a whole Debian takes the kernel of another image", onlyDebian)
            }
            guard let release = catalog[kernel]?.release else {
                throw refuse(
                    "kernel", "the image \(kernel.quoted()) has no kernel for others",
                    "those of `debian:11` to `debian:sid` have")
            }
            debian?.kernel = release
            base = base?.with(kernel: release)
        }
        if let start = image.start {
            guard debian != nil else {
                throw refuse(
                    "init", "`init` is of a Debian to which nothing has been added",
                    layers.isEmpty ? onlyDebian : "say it where the image is made from the catalog's")
            }
            debian?.start = start
        }
        if let size = image.size {
            guard base?.debian != nil else {
                throw refuse("size", "the disk of another image than a whole Debian has its size", onlyDebian)
            }
            debian?.size = size.bytes
        }
        if !image.packages.isEmpty, base?.debian == nil, !isOwnDisk {
            let programs = base?.hasDisk == true ? "`files:`, and install them in `setup:`" : "a task's `put:`"
            throw refuse(
                "packages", "packages can be installed in Debian only",
                "\(onlyDebian), or bring programs by \(programs)")
        }
        debian?.packages += image.packages
        let isAdded = debian == nil && (!image.packages.isEmpty || image.size != nil)
        guard isAdded || !image.files.isEmpty || image.setup != nil else { return }
        guard base?.hasDisk == true || isOwnDisk else {
            let key = image.setup == nil ? "files" : "setup"
            throw refuse(
                key, "nothing can be added to an image without a disk of its own that guests write to",
                "make it from `debian`, one of its releases, or `wine`")
        }
        layers.append(
            ImageLayer(
                name: image.name, packages: debian == nil ? image.packages : [], files: image.files, setup: image.setup,
                memory: image.memory, size: debian == nil ? image.size : nil, span: image.span))
        // What comes now is added to a disk.
        settle()
    }

    /// Whether it begins with a disk that the lab brings, which gets the agent.
    private var isOwnDisk: Bool {
        guard base == nil, let own = declarations.first else { return false }
        return (own.disk != nil || own.download != nil) && own.agent != false && own.os != .windows
    }

    private mutating func settle() {
        base = catalogImage
        debian = nil
    }

    /// The image of the catalog as the lab wants it.
    var catalogImage: CatalogImage? { debian.map { $0.image(named: base?.name ?? "debian") } ?? base }

    /// The declarations with what each takes from those before it, innermost first. Empty for an image of the catalog itself.
    func declared(access: HostAccess) -> [DeclaredImage] {
        var base = base?.base
        return declarations.map { declaration in
            let image = DeclaredImage(declaration, base: base, access: access)
            base = image.asBase
            return image
        }
    }
}

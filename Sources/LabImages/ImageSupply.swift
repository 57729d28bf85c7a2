import Diagnostics
import LabSpec

/// Provides the images of a lab's guests.
package struct ImageSupply: Sendable {
    let store: ImageStore
    let setup: any ImageSetup

    package init(store: ImageStore = ImageStore(), setup: any ImageSetup) {
        self.store = store
        self.setup = setup
    }

    /// The images of the lab's groups, ready to boot, by name. Missing ones are built one at a time; `progress` gets the image's
    /// name, the step, and its fraction if known. Throws a `DiagnosticList` of all problems of declared images before anything is
    /// built, else the first `Diagnostic` of a build, or `CancellationError`.
    package func images(
        for lab: Lab, progress: @escaping @Sendable (_ image: String, _ step: String, _ fraction: Double?) -> Void
    ) async throws -> [String: BootableImage] {
        let (_, problems) = store.catalog.facts(of: lab)
        guard problems.isEmpty else { throw DiagnosticList(problems) }
        var images: [String: BootableImage] = [:]
        for group in lab.groups where images[group.image] == nil {
            images[group.image] = try await image(group.image, of: lab, progress: progress)
        }
        return images
    }

    /// One image of a lab, or of the catalog. `isFresh` makes what the lab adds anew; `made` gets each image on the way. Throws as
    /// `images` does.
    package func image(
        _ name: String, of lab: Lab, isFresh: Bool = false, made: (BootableImage) -> Void = { _ in },
        progress: @escaping @Sendable (_ image: String, _ step: String, _ fraction: Double?) -> Void
    ) async throws -> BootableImage {
        guard let stack = try ImageStack(name, in: lab, catalog: store.catalog) else {
            throw store.catalog.unknown(name)
        }
        var image: BootableImage?
        if let base = stack.catalogImage {
            do {
                image = try await store.image(base) { progress(base.name, $0, $1) }
            } catch let problem as Diagnostic {
                // Of what goes into a system a lab can only have got the packages wrong.
                let named = stack.declarations.last { !$0.packages.isEmpty }
                throw named.map { problem.placed(at: $0.keySpans["packages"]) } ?? problem
            }
            image.map(made)
        }
        var declared = stack.declared(access: lab.access)
        if image == nil, let first = declared.first {
            declared.removeFirst()
            image = try await own(first, isFresh: isFresh) { progress(first.declaration.name, $0, $1) }
            image.map(made)
        }
        for layer in (stack.catalogImage.flatMap(store.rest).map { [$0] } ?? []) + stack.layers {
            guard let parent = image else { break }
            guard parent.console.announces else {
                throw Diagnostic(
                    .image, "nothing can be added to the image \(layer.name): it has not vmlab's agent",
                    remedy: "add it to the disk by other means", cause: parent.agentObstacle, at: layer.span)
            }
            image = try await store.image(
                parent, with: layer, by: setup, isFresh: isFresh, access: lab.access
            ) { progress(layer.name, $0, $1) }
            image.map(made)
        }
        for declared in declared { image = try declared.bootable(on: image) }
        guard let image else { throw store.catalog.unknown(name) }
        return image
    }
}

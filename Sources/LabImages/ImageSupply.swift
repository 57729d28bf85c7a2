import Diagnostics
import LabSpec

/// Provides the images of a lab's guests.
package struct ImageSupply: Sendable {
    private let store: ImageStore

    package init(store: ImageStore = ImageStore()) {
        self.store = store
    }

    /// The images of the lab's groups, ready to boot, by name. Missing ones are built one at a time; `progress` gets the image's
    /// name, the step, and its fraction if known. Throws a `DiagnosticList` of all problems of declared images before anything is
    /// built, else the first `Diagnostic` of a build, or `CancellationError`.
    package func images(
        for lab: Lab, progress: @escaping @Sendable (_ image: String, _ step: String, _ fraction: Double?) -> Void
    ) async throws -> [String: BootableImage] {
        let (_, problems) = store.catalog.facts(of: lab)
        guard problems.isEmpty else { throw DiagnosticList(problems) }
        var built: [String: BootableImage] = [:]
        var images: [String: BootableImage] = [:]
        for group in lab.groups where images[group.image] == nil {
            let declaration = lab.images[group.image]
            var base: BootableImage?
            if let name = declaration == nil ? group.image : declaration?.from {
                if built[name] == nil {
                    built[name] = try await store.image(named: name) { progress(name, $0, $1) }
                }
                base = built[name]
            }
            if let declaration {
                let recipe = declaration.from.flatMap { store.catalog[$0] }
                images[group.image] = try DeclaredImage(declaration, base: recipe, access: lab.access).bootable(
                    on: base)
            } else {
                images[group.image] = base
            }
        }
        return images
    }
}

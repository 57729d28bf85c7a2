import LabImages
import LabSpec

/// Brings the images that a lab names onto this host: built, checked, ready to boot.
struct ImageSupply {
    /// Every image of the lab's groups by name. Throws the first that cannot be had.
    func images(
        for lab: Lab, progress: @escaping @Sendable (_ image: String, _ step: String, _ fraction: Double?) -> Void
    ) async throws -> [String: BootableImage] {
        let store = try ImageStore()
        var images: [String: BootableImage] = [:]
        for name in lab.groups.map(\.image) where images[name] == nil {
            images[name] = try await store.image(named: name) { progress(name, $0, $1) }
        }
        return images
    }
}

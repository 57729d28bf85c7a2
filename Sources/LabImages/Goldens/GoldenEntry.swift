import Foundation
import HostSystem

/// One golden in a list.
package struct GoldenEntry: Sendable {
    /// What its folder is called.
    package let name: String
    /// The image that it booted.
    package let image: String
    /// That image's id.
    package let imageID: String
    /// The guest's shape in words, as `GoldenKey` has it.
    package let shape: String
    /// Bytes on disk.
    package let size: UInt64
    /// When it was made.
    package let built: Date
    /// When a lab last used it.
    package let lastUsed: Date
    /// Whether its files look as they were saved.
    package let isWhole: Bool

    /// The golden in a folder; nil when there is none that can be read.
    init?(_ name: String, in folder: String) {
        guard let manifest = GoldenManifest(in: folder), let facts = FileStamp("\(folder)/\(manifestName)")
        else { return nil }
        self.name = name
        image = manifest.key.image
        imageID = manifest.key.imageID
        shape = manifest.key.shape
        size = FileTree.space(of: folder)
        built = manifest.built
        lastUsed = Date(timeIntervalSince1970: Double(facts.modified) / 1e9)
        isWhole = manifest.visibleDamage(in: folder) == nil
    }
}

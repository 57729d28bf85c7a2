import Foundation
import GuestControl
import HostSystem

/// A machine at its ready point, saved in the files of a folder, for any number of others to go on from.
///
/// For as long as this lives, also in another process, pruning leaves the folder alone. Its files are read-only.
package final class Golden: KeptGolden {
    package let machine: SavedMachine
    /// The folder with its files and its manifest, absolute.
    let folder: String
    let key: GoldenKey
    let lease: FolderLease
    private let store: GoldenStore

    init(_ manifest: GoldenManifest, in folder: String, _ lease: FolderLease, of store: GoldenStore) {
        machine = manifest.machine(in: folder)
        self.folder = folder
        key = manifest.key
        self.lease = lease
        self.store = store
    }

    package func discard() async {
        // What cannot be thrown away is found wanting again by the next who asks.
        try? await store.discard(self)
    }
}

/// One golden in a list.
package struct GoldenEntry: Sendable {
    /// What its folder is called.
    package let name: String
    /// The image that it booted.
    package let image: String
    package let imageID: String
    /// The guest's shape in words, as `GoldenKey` has it.
    package let shape: String
    package let size: UInt64
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

import Foundation
import GuestControl
import HostSystem

/// A machine saved at its ready point in the files of a folder, to be cloned any number of times. While this is referenced, also by
/// another process, pruning keeps the folder. Its files are read-only.
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
        // If this fails, the next request finds the damage again.
        try? await store.discard(self)
    }
}

/// One golden in a list.
package struct GoldenEntry: Sendable {
    /// The name of its folder.
    package let name: String
    package let image: String
    package let imageID: String
    /// The guest's shape as text, from `GoldenKey`.
    package let shape: String
    package let size: UInt64
    package let built: Date
    /// When a lab last used it.
    package let lastUsed: Date
    /// Whether its files pass the quick check.
    package let isWhole: Bool

    /// The golden in a folder; nil without a readable manifest.
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

import GuestControl

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

/// A machine at its ready point, saved in the files of a folder, for any number of others to go on from.
///
/// For as long as this lives, also in another process, pruning leaves the folder alone. Its files are read-only; nobody writes
/// to them.
package final class Golden: Sendable {
    /// The folder with the files that its builder made. Absolute, and not the one that the builder was given.
    package let folder: String
    /// What it depends on.
    package let key: GoldenKey
    private let lease: FolderLease

    init(_ key: GoldenKey, in folder: String, _ lease: FolderLease) {
        self.folder = folder
        self.key = key
        self.lease = lease
    }

    /// Whether it is still what is at its place: it may have been discarded, and made again.
    var isInPlace: Bool { lease.isInPlace }
}

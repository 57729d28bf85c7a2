import Glibc
import HostSystem

/// A machine at its ready point, saved in the files of a folder, for any number of others to go on from.
///
/// For as long as this lives, also in another process, pruning leaves the folder alone. Its files are read-only; nobody writes
/// to them.
public final class Golden: Sendable {
    /// The folder with the files that its builder made. Absolute, and not the one that the builder was given.
    public let folder: String
    /// What it depends on.
    public let key: GoldenKey
    /// Its manifest, under a shared lock.
    private let manifest: OwnedDescriptor

    init(_ key: GoldenKey, in folder: String, locked manifest: consuming OwnedDescriptor) {
        self.folder = folder
        self.key = key
        self.manifest = manifest
    }

    deinit {
        // Written out: a child that is about to begin its program has a copy of the descriptor for a moment.
        _ = flock(manifest.number, LOCK_UN)
    }

    /// Whether it is still what is at its place: it may have been discarded, and made again.
    var isInPlace: Bool { manifest.isStill(at: "\(folder)/\(ManifestFile.name)") }
}

import Glibc
import HostSystem

/// A folder of the cache that is in use: for as long as this lives nobody removes it, in any process. It is a shared lock on its
/// manifest; who removes a folder holds that lock alone.
final class FolderLease: Sendable {
    private let manifest: OwnedDescriptor
    private let path: String

    /// Takes it; nil when the folder is not there or is just being removed.
    init?(_ folder: String) {
        path = "\(folder)/\(manifestName)"
        guard let file = try? OwnedDescriptor.open(path, O_RDONLY), (try? file.tryLock(LOCK_SH, path)) == true,
            file.isStill(at: path)
        else { return nil }
        manifest = file
    }

    deinit {
        // Written out: a child that is about to begin its program has a copy of the descriptor for a moment.
        _ = flock(manifest.number, LOCK_UN)
    }

    /// Whether it is still what is at its place: it may have been discarded, and made again.
    var isInPlace: Bool { manifest.isStill(at: path) }

    /// Notes the time as that of its last use. A cache that we may only read is as good.
    func noteUse() { _ = futimens(manifest.number, nil) }
}

extension CacheFolder {
    /// What became of a folder that should go.
    enum Removal {
        case removed(UInt64)
        case inUse
        case failed
    }

    /// Does away with a folder by `body`, which returns the bytes freed, unless it is in use.
    static func removeUnused(_ folder: String, by body: () -> UInt64?) -> Removal {
        let path = "\(folder)/\(manifestName)"
        // Without a manifest it is nobody's.
        let manifest = (try? OwnedDescriptor.open(path, O_RDONLY)) ?? OwnedDescriptor(owning: -1)
        if manifest.isOpen, (try? manifest.tryLock(LOCK_EX, path)) != true { return .inUse }
        let freed = body()
        _ = consume manifest
        return freed.map { .removed($0) } ?? .failed
    }
}

import Glibc
import HostSystem

/// Operations shared by the stores in the cache folder.
enum CacheFolder {
    /// Removes entries of a folder and returns the bytes freed. What cannot be removed stays for the next time.
    @discardableResult
    static func remove(in folder: String, where isUnwanted: (String) -> Bool) -> UInt64 {
        var freed: UInt64 = 0
        for name in (try? FileTree.names(in: folder)) ?? [] where isUnwanted(name) {
            freed += remove("\(folder)/\(name)") ?? 0
        }
        return freed
    }

    /// Removes a file or folder and returns the bytes freed; nil when it cannot be removed.
    static func remove(_ path: String) -> UInt64? {
        let space = FileTree.space(of: path)
        return (try? FileTree.remove(path)) == nil ? nil : space
    }

    /// Moves a finished folder into place by one rename. An existing folder is first moved to `aside`.
    static func publish(_ built: String, as folder: String, aside: String) throws(SystemCallError) {
        if FileTree.exists(folder) { try FileTree.move(folder, to: aside) }
        try FileTree.move(built, to: folder)
    }
}

/// What was removed from the cache.
package struct CacheCleaning: Sendable, Hashable {
    package var freed: UInt64 = 0
    /// Goldens that were to be removed but are in use, by folder name.
    package var inUse: [String] = []
    /// Images that were to be removed but are in use, by name.
    package var imagesInUse: [String] = []

    package init(freed: UInt64 = 0, inUse: [String] = [], imagesInUse: [String] = []) {
        self.freed = freed
        self.inUse = inUse
        self.imagesInUse = imagesInUse
    }

    package static func += (total: inout CacheCleaning, part: CacheCleaning) {
        total.freed += part.freed
        total.inUse += part.inUse
        total.imagesInUse += part.imagesInUse
    }
}

/// The result of verifying an image or a golden.
package struct CacheFinding: Sendable {
    package let image: String
    /// The golden; nil for the image itself.
    package let golden: GoldenEntry?
    /// The damage, such as `the contents of memory have changed`; nil when there is none.
    package let damage: String?
}

/// A lease on a cache folder: while it is held, no process removes the folder. It is a shared lock on the manifest; removal
/// takes an exclusive one.
final class FolderLease: Sendable {
    private let manifest: OwnedDescriptor
    private let path: String

    /// Takes the lease; nil when the folder is missing or being removed.
    init?(_ folder: String) {
        path = "\(folder)/\(manifestName)"
        guard let file = try? OwnedDescriptor.open(path, O_RDONLY), (try? file.tryLock(LOCK_SH, path)) == true,
            file.isStill(at: path)
        else { return nil }
        manifest = file
    }

    deinit {
        // Unlocked explicitly: a child between fork and exec may still hold a copy of the descriptor.
        _ = flock(manifest.number, LOCK_UN)
    }

    /// Whether the folder is still at its path: it may have been discarded and made again.
    var isInPlace: Bool { manifest.isStill(at: path) }

    /// Records the time of use. Failures, as in a read-only cache, are ignored.
    func noteUse() { _ = futimens(manifest.number, nil) }
}

extension CacheFolder {
    enum Removal {
        case removed(UInt64)
        case inUse
        case failed
    }

    /// Removes a folder, or has `body` do so and return the bytes freed, unless it is in use.
    static func removeUnused(_ folder: String, by body: (() -> UInt64?)? = nil) -> Removal {
        let path = "\(folder)/\(manifestName)"
        // Without a manifest nobody can hold it.
        let manifest = (try? OwnedDescriptor.open(path, O_RDONLY)) ?? OwnedDescriptor(owning: -1)
        if manifest.isOpen, (try? manifest.tryLock(LOCK_EX, path)) != true { return .inUse }
        let freed = body.map { $0() } ?? remove(folder)
        _ = consume manifest
        return freed.map { .removed($0) } ?? .failed
    }
}

import Glibc
import HostSystem

/// What the stores in the cache's folder have in common.
enum CacheFolder {
    /// Removes some of a folder's entries and returns the bytes freed. What cannot be removed stays for the next time.
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

    /// Puts a finished folder in its place in one step. What is there goes to `aside` first.
    static func publish(_ built: String, as folder: String, aside: String) throws(SystemCallError) {
        if FileTree.exists(folder) { try FileTree.move(folder, to: aside) }
        try FileTree.move(built, to: folder)
    }
}

/// What was removed from the cache.
package struct CacheCleaning: Sendable, Hashable {
    package var freed: UInt64 = 0
    /// Goldens that should have gone but are in use, by the names of their folders.
    package var inUse: [String] = []
    /// Images that should have gone but are in use, by their names.
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

/// What a thorough look at something in the cache found.
package struct CacheFinding: Sendable {
    package let image: String
    /// The golden of it; nil for the image itself.
    package let golden: GoldenEntry?
    /// What is wrong, such as `the contents of memory have changed`; nil when nothing is.
    package let damage: String?
}

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

    /// Does away with a folder, or has `body` do so, which returns the bytes freed, unless it is in use.
    static func removeUnused(_ folder: String, by body: (() -> UInt64?)? = nil) -> Removal {
        let path = "\(folder)/\(manifestName)"
        // Without a manifest it is nobody's.
        let manifest = (try? OwnedDescriptor.open(path, O_RDONLY)) ?? OwnedDescriptor(owning: -1)
        if manifest.isOpen, (try? manifest.tryLock(LOCK_EX, path)) != true { return .inUse }
        let freed = body.map { $0() } ?? remove(folder)
        _ = consume manifest
        return freed.map { .removed($0) } ?? .failed
    }
}

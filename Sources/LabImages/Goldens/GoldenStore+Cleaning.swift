import Foundation
import Glibc
import HostSystem

extension GoldenStore {
    /// Goldens that were not used for this long are pruned.
    package static let usualAge = Duration.seconds(7 * 24 * 3600)

    // MARK: Listing and verifying

    /// All goldens, by image, the most recently used first.
    package func list() -> [GoldenEntry] {
        names.compactMap { GoldenEntry($0, in: folder($0)) }.sorted {
            ($0.image, $1.lastUsed) < ($1.image, $0.lastUsed)
        }
    }

    /// Reads every file of the goldens of one image or of all, and reports the damage of each; nil when there is none. A
    /// damaged golden is made again when it is next requested.
    package func verify(
        image: String? = nil, found: (_ golden: GoldenEntry, _ damage: String?) -> Void
    ) async throws {
        for entry in list() where image == nil || entry.image == image {
            let folder = folder(entry.name)
            guard let manifest = GoldenManifest(in: folder) else { continue }
            found(entry, try await manifest.damage(in: folder, checked: checked(entry.name), again: true))
        }
    }

    private var names: [String] { (try? FileTree.names(in: goldens)) ?? [] }

    // MARK: Removing

    /// Removes all goldens of an image that no running lab uses, and its recorded failures.
    package func remove(image: String) -> CacheCleaning {
        forgetFailures { $0.key.image == image }
        return clean { $0.image == image }
    }

    /// Removes outdated goldens, such as those of changed images, those not used for `age`, damaged ones, and leftovers of
    /// killed builders. Keeps those that a running lab uses or builds.
    package func prune(
        age: Duration = Self.usualAge, isOutOfDate: (GoldenEntry) -> Bool = { _ in false }
    ) -> CacheCleaning {
        let oldest = Date(timeIntervalSinceNow: -Double(age.components.seconds))
        forgetFailures { !$0.isValid }
        var cleaning = clean { entry in
            entry.lastUsed < oldest || !entry.isWhole || isOutOfDate(entry)
        }
        for leftover in removeLeftovers() { cleaning.freed += leftover.freed }
        return cleaning
    }

    /// Removes leftovers of killed builders, except for builds in progress. Safe at any time.
    package func removeLeftovers() -> [(path: String, freed: UInt64)] {
        let build = "\(directory)/build"
        let left = ((try? FileTree.names(in: build)) ?? []).filter { $0.hasPrefix(Self.prefix) }
        let leftovers = left.compactMap { entry -> (path: String, freed: UInt64)? in
            var name = entry.dropFirst(Self.prefix.count)
            if name.hasSuffix(Self.removed) { name = name.dropLast(Self.removed.count) }
            let freed = withLock(String(name)) { CacheFolder.remove("\(build)/\(entry)") }
            return freed.map { ("\(build)/\(entry)", $0) }
        }
        removeLocks()
        return leftovers
    }

    /// Enforces the size limit after a new golden.
    func trim(keeping kept: String) {
        var entries = list().sorted { $0.lastUsed < $1.lastUsed }
        var total = entries.reduce(0) { $0 &+ $1.size }
        entries.removeAll { $0.name == kept }
        for entry in entries where total > limit.bytes {
            if case .removed = remove(entry.name) { total &-= min(total, entry.size) }
        }
    }

    /// Removes the locks of goldens that no longer exist.
    private func removeLocks() {
        let kept = Set(names)
        for lock in (try? FileTree.names(in: "\(directory)/locks")) ?? [] where lock.hasPrefix(Self.prefix) {
            let name = String(lock.dropFirst(Self.prefix.count))
            guard !kept.contains(name), let held = try? FileLock.tryAcquire(lockPath(name)) else { continue }
            held.release(removing: lockPath(name))
        }
    }

    private func clean(where isUnwanted: (GoldenEntry) -> Bool) -> CacheCleaning {
        var cleaning = CacheCleaning()
        for name in names {
            // Without a readable manifest it is unusable.
            if let entry = GoldenEntry(name, in: folder(name)), !isUnwanted(entry) { continue }
            switch remove(name) {
            case .removed(let freed): cleaning.freed += freed
            case .inUse: cleaning.inUse.append(name)
            case .failed: break
            }
        }
        return cleaning
    }

    private func remove(_ name: String) -> CacheFolder.Removal {
        withLock(name) { CacheFolder.removeUnused(folder(name)) { try? setAside(name) } } ?? .inUse
    }

    /// Runs `body` with the golden's lock; nil when the lock is taken.
    private func withLock<Result>(_ name: String, _ body: () -> Result?) -> Result? {
        guard let lock = try? FileLock.tryAcquire(lockPath(name)) else { return nil }
        defer { lock.release() }
        return body()
    }
}

import Foundation
import Glibc
import HostSystem

extension GoldenStore {
    /// One that was not used for so long is pruned.
    package static let usualAge = Duration.seconds(7 * 24 * 3600)

    // MARK: What is there

    /// Every golden, by image, the one that was used last first.
    package func list() -> [GoldenEntry] {
        names.compactMap { GoldenEntry($0, in: folder($0)) }.sorted {
            ($0.image, $1.lastUsed) < ($1.image, $0.lastUsed)
        }
    }

    /// Reads every file of the goldens, of one image or of all, and says what is wrong with each; nil when nothing is. The next
    /// who asks for a damaged one makes it again.
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

    // MARK: Removing some

    /// Removes the goldens of an image in all its shapes but for those that a running lab uses. Those that could not be made
    /// are tried again.
    package func remove(image: String) -> CacheCleaning {
        forgetFailures { $0.key.image == image }
        return clean { $0.image == image }
    }

    /// Removes goldens that are out of date, such as those whose image has changed, those that were not used for `age`,
    /// damaged ones, and what killed builders left. Leaves alone what a running lab uses or builds.
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

    /// Removes what killed builders left, unless it is being built again just now. Safe at any time.
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

    /// Makes room after a new golden.
    func trim(keeping kept: String) {
        var entries = list().sorted { $0.lastUsed < $1.lastUsed }
        var total = entries.reduce(0) { $0 &+ $1.size }
        entries.removeAll { $0.name == kept }
        for entry in entries where total > limit.bytes {
            if case .removed = remove(entry.name) { total &-= min(total, entry.size) }
        }
    }

    /// Locks of goldens that are not there.
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
            // Without a manifest that can be read it is nobody's.
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

    /// Does something with the golden's lock held; nil when somebody else holds it.
    private func withLock<Result>(_ name: String, _ body: () -> Result?) -> Result? {
        guard let lock = try? FileLock.tryAcquire(lockPath(name)) else { return nil }
        defer { lock.release() }
        return body()
    }
}

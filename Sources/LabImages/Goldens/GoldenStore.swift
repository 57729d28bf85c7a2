import Diagnostics
import Foundation
import Glibc
import GuestControl
import HostSystem
import LabSpec
import Logging
import Quantities

/// Goldens on this host: machines saved at their ready point, from which others start in no time. Each is made when it is first
/// asked for, then kept until it is not used any more.
///
/// ```
/// goldens/<image>-<hash>/         its files and manifest.json; appears whole or not at all
/// build/golden-<image>-<hash>/    one in the making, or what a killed builder left
/// locks/golden-<image>-<hash>     held by who makes or removes it
/// failed/<image>-<hash>/          why one cannot be made, see `GoldenFailure`
/// ```
/// Who uses a golden holds a shared lock on its manifest; who removes it holds that lock alone, so what a running lab uses stays.
/// Only `discard` and damage take a golden away from under others: their clones keep the files that they opened, new ones do not
/// find them. The manifest's own time of change says when the golden was last used.
package struct GoldenStore: GoldenStoring {
    /// The cache's folder.
    package let directory: String
    /// Bytes on disk of all goldens; when a new one exceeds it, those that were not used for the longest time go.
    package let limit: ByteCount

    /// The bytes on disk that are kept at most, but for what is in use: some eighty goldens of small guests.
    package static let usualLimit = ByteCount.gibibytes(8)

    /// The store in a cache folder, by default this user's; it is made with its first golden.
    package init(cacheDirectory: String = ImageStore.defaultDirectory, limit: ByteCount = Self.usualLimit) {
        directory = cacheDirectory
        self.limit = limit
    }

    // MARK: Getting goldens

    /// The golden of this key, if it is there and whole. A damaged one is not; the next `golden` makes it again.
    package func existing(_ key: GoldenKey) async throws -> Golden? {
        guard case .whole(let golden) = try await find(key) else { return nil }
        return golden
    }

    /// See the protocol. One whose guest showed that it does not come up is not tried again for a day.
    ///
    /// Waiting costs a thread each. Nothing is left when this throws, which it also does when the disk is full or the cache cannot
    /// be written to.
    package func golden(
        _ key: GoldenKey, progress: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (_ folder: String) async throws -> SavedMachine
    ) async throws -> Golden {
        if let golden = try await existing(key) { return golden }
        do throws(SystemCallError) {
            // A guest's memory is nobody else's business.
            try FileTree.makeFolder(goldens, mode: 0o700)
            for folder in ["build", "locks"] { try FileTree.makeFolder("\(directory)/\(folder)") }
        } catch {
            throw error.diagnostic("cannot use the image cache \(directory)")
        }
        let lock = try await lock(key.name, progress)
        defer { lock.release() }
        // Another may have made it meanwhile.
        switch try await find(key) {
        case .whole(let golden): return golden
        case .absent: break
        case .damaged(let reason):
            log.debug("golden is damaged", metadata: ["golden": "\(key.name)", "why": "\(reason)"])
            progress("its golden is damaged (\(reason)) and is made again")
        }
        let begun = ContinuousClock.now
        let golden = try await makeGolden(key, make)
        log.debug("golden was made", metadata: ["golden": "\(key.name)", "ms": "\(begun.millisecondsAgo)"])
        trim(keeping: key.name)
        return golden
    }

    /// Throws away a golden that did not work, though it looked whole. What goes on from it already is not disturbed. Nothing
    /// happens when somebody else did so before, and perhaps made it again.
    func discard(_ golden: Golden) async throws {
        let name = golden.key.name
        let lock = try await lock(name) { _ in }
        defer { lock.release() }
        guard golden.lease.isInPlace else { return }
        do throws(SystemCallError) {
            try setAside(name)
        } catch {
            throw error.diagnostic("cannot remove the golden \(golden.folder)")
        }
    }

    private func lock(_ name: String, _ progress: (String) -> Void) async throws -> FileLock {
        do {
            return try await FileLock.acquire(lockPath(name)) { holder in
                progress("waiting for \(describe(holder)), which is making its golden")
            }
        } catch let error as SystemCallError {
            throw error.diagnostic("cannot use the image cache \(directory)")
        }
    }

    // MARK: Making one

    /// Call with the golden's lock held.
    private func makeGolden(_ key: GoldenKey, _ make: (String) async throws -> SavedMachine) async throws -> Golden {
        // Who waited for another that failed does not try again either.
        if let failure = failure(of: key) { throw failure.diagnostic }
        let scratch = scratch(key.name)
        do {
            _ = removeLeftovers(key.name)
            defer { _ = removeLeftovers(key.name) }
            try FileTree.makeFolder(scratch, mode: 0o700)
            let machine = try await make(scratch)
            try Task.checkCancellation()
            let manifest = try await seal(machine, in: scratch, key)
            try CacheFolder.publish(scratch, as: folder(key.name), aside: aside(key.name))
            // They were read a moment ago.
            checked(key.name).note(CheckedFiles.stamps(of: manifest.paths(in: folder(key.name))))
        } catch let loss as GuestLoss where loss.isGuestsDoing && !Task.isCancelled {
            noteFailure(of: key, loss.message)
            throw loss
        } catch {
            throw explained(error, key)
        }
        guard case .whole(let golden) = try await find(key) else {
            throw Diagnostic(
                .host, "the golden of the image \(key.image) changed while it was made",
                remedy: "make sure that nothing else writes to \(goldens), or use `boot: cold`")
        }
        return golden
    }

    /// Has the files on disk for good, read-only, and described by a manifest.
    private func seal(_ machine: SavedMachine, in scratch: String, _ key: GoldenKey) async throws -> GoldenManifest {
        for name in try FileTree.names(in: scratch) {
            let path = "\(scratch)/\(name)"
            guard FileStamp(path)?.isFile == true else {
                try FileTree.remove(path)
                continue
            }
            // QEMU before 8.2 opens guest memory for writing even where it maps it for itself alone, so its owner may.
            try systemCall("chmod", path) { chmod(path, name == "memory" ? 0o600 : 0o400) }
        }
        let manifest = try await GoldenManifest(of: machine, in: scratch, key: key)
        guard !manifest.files.isEmpty else {
            throw Diagnostic(.host, "nothing was saved for the golden of the image \(key.image)")
        }
        try manifest.write(in: scratch)
        return manifest
    }

    /// A full disk told as such, whatever the builder made of it.
    private func explained(_ error: any Error, _ key: GoldenKey) -> any Error {
        if error is CancellationError { return error }
        let errno = (error as? SystemCallError)?.errno
        let remedy =
            "free about twice the guest's memory there, for example with `vmlab images prune --goldens`, or set XDG_CACHE_HOME to "
            + "a folder on a larger disk; `boot: cold` needs no golden"
        if let full = BuildFailure.fullDisk(
            near: directory, certain: errno == ENOSPC || errno == EDQUOT, remedy: remedy)
        {
            return full
        }
        return (error as? SystemCallError)?.diagnostic("cannot make the golden of the image \(key.image)") ?? error
    }

    // MARK: Finding one

    private enum Finding {
        case whole(Golden)
        case damaged(String)
        case absent
    }

    private func find(_ key: GoldenKey) async throws -> Finding {
        let folder = folder(key.name)
        guard access("\(folder)/\(manifestName)", R_OK) == 0 else {
            return access(folder, F_OK) == 0 ? .damaged("its manifest is missing") : .absent
        }
        // Nil when somebody is removing it just now, or has done so.
        guard let lease = FolderLease(folder) else { return .absent }
        guard let manifest = GoldenManifest(in: folder), manifest.key == key else {
            return .damaged("its manifest is damaged")
        }
        if let damage = try await manifest.damage(in: folder, checked: checked(key.name)) { return .damaged(damage) }
        lease.noteUse()
        return .whole(Golden(manifest, in: folder, lease, of: self))
    }

    func checked(_ name: String) -> CheckedFiles {
        CheckedFiles(cacheDirectory: directory, name: Self.prefix + name)
    }

    private var log: Logger { Logger(label: "vmlab.images") }

    // MARK: Paths

    var goldens: String { "\(directory)/goldens" }
    func folder(_ name: String) -> String { "\(goldens)/\(name)" }
    func lockPath(_ name: String) -> String { "\(directory)/locks/\(Self.prefix)\(name)" }

    private func scratch(_ name: String) -> String { "\(directory)/build/\(Self.prefix)\(name)" }
    private func aside(_ name: String) -> String { "\(scratch(name))\(Self.removed)" }

    /// No image of the catalog is called so, whose builds are beside ours.
    static let prefix = "golden-"
    /// Ends the name of one that is being removed.
    static let removed = ".removed"

    /// Removes a golden, which is gone in one step. Call with its lock held.
    @discardableResult
    func setAside(_ name: String) throws(SystemCallError) -> UInt64 {
        log.debug("golden is removed", metadata: ["golden": "\(name)"])
        let aside = aside(name)
        _ = removeLeftovers(name)
        try FileTree.move(folder(name), to: aside)
        return CacheFolder.remove(aside) ?? 0
    }

    /// What a killed process left of it. Call with its lock held.
    func removeLeftovers(_ name: String) -> UInt64 {
        [scratch(name), aside(name)].reduce(0) { $0 + (CacheFolder.remove($1) ?? 0) }
    }
}

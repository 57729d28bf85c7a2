import Diagnostics
import Foundation
import Glibc
import GuestControl
import HostSystem
import LabSpec
import Logging
import Quantities

/// Goldens on this host: machines saved at their ready point, from which others are cloned. Each is made on first request and
/// kept until it is pruned.
///
/// ```
/// goldens/<image>-<hash>/         its files and manifest.json; appears whole or not at all
/// build/golden-<image>-<hash>/    one in the making, or what a killed builder left
/// locks/golden-<image>-<hash>     held by who makes or removes it
/// failed/<image>-<hash>/          why one cannot be made, see `GoldenFailure`
/// ```
/// Users of a golden hold a shared lock on its manifest; removal takes an exclusive one, so goldens in use stay. Only `discard`
/// and damage remove a golden that is in use: existing clones keep their open files, new ones do not find it. The manifest's
/// modification time is the time of last use.
package struct GoldenStore: GoldenStoring {
    /// The cache's folder.
    package let directory: String
    /// The limit for all goldens in bytes on disk; when a new one exceeds it, the least recently used are removed.
    package let limit: ByteCount

    /// The default limit, not counting goldens in use: enough for about eighty goldens of small guests.
    package static let usualLimit = ByteCount.gibibytes(8)

    /// The store in a cache folder, by default this user's; the folder is created with the first golden.
    package init(cacheDirectory: String = ImageStore.defaultDirectory, limit: ByteCount = Self.usualLimit) {
        directory = cacheDirectory
        self.limit = limit
    }

    // MARK: Getting goldens

    /// The golden of this key if it exists and is intact. A damaged one is made again by the next `golden`.
    package func existing(_ key: GoldenKey) async throws -> Golden? {
        guard case .whole(let golden) = try await find(key) else { return nil }
        return golden
    }

    /// See the protocol. A golden whose guest did not come up is not tried again. Each wait blocks a thread. After an
    /// error nothing is left; errors include a full disk and a read-only cache.
    package func golden(
        _ key: GoldenKey, progress: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (_ folder: String) async throws -> SavedMachine
    ) async throws -> Golden {
        if let golden = try await existing(key) { return golden }
        do throws(SystemCallError) {
            // Private: it contains guests' memory.
            try FileTree.makeFolder(goldens, mode: 0o700)
            for folder in ["build", "locks"] { try FileTree.makeFolder("\(directory)/\(folder)") }
        } catch {
            throw error.diagnostic("cannot use the image cache \(directory)")
        }
        let lock = try await lock(key.name, progress)
        defer { lock.release() }
        // Another process may have made it during the wait.
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

    /// Discards a golden that did not work although its files were intact. Running clones are unaffected. No effect when
    /// another process has already discarded it.
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

    /// Requires the golden's lock.
    private func makeGolden(_ key: GoldenKey, _ make: (String) async throws -> SavedMachine) async throws -> Golden {
        // A wait for a builder that failed does not try again.
        if let failure = failure(of: key) { throw KnownGoldenFailure(failure.diagnostic) }
        let scratch = scratch(key.name)
        do {
            _ = removeLeftovers(key.name)
            defer { _ = removeLeftovers(key.name) }
            try FileTree.makeFolder(scratch, mode: 0o700)
            let machine = try await make(scratch)
            try Task.checkCancellation()
            let manifest = try await seal(machine, in: scratch, key)
            try CacheFolder.publish(scratch, as: folder(key.name), aside: aside(key.name))
            // The files were just read.
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

    /// Syncs the files to disk, makes them read-only and writes the manifest.
    private func seal(_ machine: SavedMachine, in scratch: String, _ key: GoldenKey) async throws -> GoldenManifest {
        for name in try FileTree.names(in: scratch) {
            let path = "\(scratch)/\(name)"
            guard FileStamp(path)?.isFile == true else {
                try FileTree.remove(path)
                continue
            }
            // Before 8.2 QEMU opens guest memory for writing even when it maps it privately, so the owner may write.
            try systemCall("chmod", path) { chmod(path, name == "memory" ? 0o600 : 0o400) }
        }
        let manifest = try await GoldenManifest(of: machine, in: scratch, key: key)
        guard !manifest.files.isEmpty else {
            throw Diagnostic(.host, "nothing was saved for the golden of the image \(key.image)")
        }
        try manifest.write(in: scratch)
        return manifest
    }

    /// Reports a full disk as such, whatever error the builder made of it.
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
        // Nil when it is being removed or has been.
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

    /// Distinguishes these builds from those of images: no catalog image has this prefix.
    static let prefix = "golden-"
    /// The suffix of a golden that is being removed.
    static let removed = ".removed"

    /// Removes a golden by one rename, then its files. Requires its lock.
    @discardableResult
    func setAside(_ name: String) throws(SystemCallError) -> UInt64 {
        log.debug("golden is removed", metadata: ["golden": "\(name)"])
        let aside = aside(name)
        _ = removeLeftovers(name)
        try FileTree.move(folder(name), to: aside)
        return CacheFolder.remove(aside) ?? 0
    }

    /// Removes what a killed process left of it. Requires its lock.
    func removeLeftovers(_ name: String) -> UInt64 {
        [scratch(name), aside(name)].reduce(0) { $0 + (CacheFolder.remove($1) ?? 0) }
    }
}

import Diagnostics
import Foundation
import Glibc
import Hashing
import HostSystem
import KernelFormat
import Logging
import Synchronization

/// Unpacked kernels on this host. Each guest that boots a `bzImage` would spend its own time on unpacking it (seconds, for an
/// xz payload), so the host unpacks it once and keeps the result.
///
/// ```
/// kernels/<hash>        the ELF vmlinux of the bzImage with that SHA-256; appears whole or not at all
/// kernels/<hash>.new    one in the making, or what a killed process left
/// locks/kernels         held while one is made or removed
/// ```
/// This loses KASLR, which is done by the unpacking code: an unpacked kernel boots as with `nokaslr`, at its link addresses.
package final class KernelCache: Sendable {
    package enum Outcome: Sendable, Hashable {
        /// The path of the ELF kernel to boot instead.
        case unpacked(String)
        /// The original file is booted; the reason completes a sentence that begins with "the kernel".
        case asItIs(reason: String)
    }

    /// The identity of an unchanged file, which a process inspects only once.
    private struct Identity: Hashable {
        let path: String
        let size: UInt64
        let modified: Int64
    }

    private typealias Work = Completion<Result<Outcome, any Error>>

    private let directory: String
    private let searchPath: String?
    private let works = Mutex<[Identity: Work]>([:])

    /// The time limit for unpacking, generous for a busy host.
    private static let patience = Duration.seconds(120)
    /// The programs that unpack kernels, with their Debian packages. Without its program a kernel is unpacked in each guest.
    package static var programs: [String: String] {
        let formats = KernelPayload.Format.allCases.map { ($0.rawValue, $0.package) }
        return Dictionary(uniqueKeysWithValues: formats + [(limiter.program, limiter.package)])
    }

    private static let limiter = (program: "prlimit", package: "util-linux")
    /// The number of kernels kept; the least recently used is removed first.
    static let capacity = 8
    /// A kernel used this recently is never removed: its guest may be about to open it.
    static let grace = Duration.seconds(3600)

    /// The kernels in a cache folder, by default this user's. Programs are searched in `searchPath`, by default `PATH`.
    package init(cacheDirectory: String = ImageStore.defaultDirectory, searchPath: String? = Environment["PATH"]) {
        directory = cacheDirectory
        self.searchPath = searchPath
    }

    /// The unpacked kernel to boot instead of `kernel`, made first when it is missing or damaged. Safe for concurrent tasks and
    /// processes; one of them makes it. Throws a `Diagnostic` when the kernel is too damaged to boot at all, and
    /// `CancellationError`. Missing programs are no error: the kernel is then unpacked in the guest.
    package func bootable(_ kernel: String) async throws -> Outcome {
        guard let facts = FileStamp(kernel), facts.isFile,
            let start = try? SmallFile.bytes(kernel, limit: LinuxHeader.least)
        else { return .asItIs(reason: "cannot be read") }
        guard LinuxHeader.isBZImage(start) else { return .asItIs(reason: "is not a bzImage") }
        let identity = Identity(path: kernel, size: facts.size, modified: facts.modified)
        let outcome = try await work(identity).wait().get()
        guard case .unpacked(let path) = outcome, !use(path) else { return outcome }
        // The cache was emptied meanwhile.
        works.withLock { _ = $0.removeValue(forKey: identity) }
        return try await work(identity).wait().get()
    }

    /// The work on a file. It continues when the task that began it is cancelled, because others may wait for it.
    private func work(_ identity: Identity) -> Work {
        works.withLock { works in
            if let work = works[identity] { return work }
            let work = Work()
            works[identity] = work
            Task.detached { [self] in
                do {
                    work.fulfil(.success(try await outcome(of: identity)))
                } catch {
                    work.fulfil(.failure(error))
                }
            }
            return work
        }
    }

    private func outcome(of identity: Identity) async throws -> Outcome {
        guard identity.size <= KernelPayload.largestKernel else { return .asItIs(reason: "is very large") }
        do {
            let file = try SmallFile.bytes(identity.path, limit: Int(identity.size))
            let payload = try KernelPayload(in: file)
            let programs = try programs(for: payload.format)
            return try await cached(file, payload, programs, from: identity.path)
        } catch KernelPayload.Refusal.unpacksItself(let reason) {
            return .asItIs(reason: reason)
        } catch KernelPayload.Refusal.damaged(let reason) {
            throw Self.damaged(identity.path, reason)
        } catch let error as SystemCallError {
            return .asItIs(reason: "cannot be unpacked into the cache: \(error)")
        } catch is DeadlineExceeded {
            return .asItIs(reason: "took longer than \(Self.patience) to unpack")
        }
    }

    /// The paths of the program that sets resource limits, and of the unpacking program.
    private func programs(for format: KernelPayload.Format) throws(KernelPayload.Refusal) -> [String] {
        var paths: [String] = []
        for (program, package) in [Self.limiter, (format.rawValue, format.package)] {
            guard let path = Tool.find(program, path: searchPath) else {
                throw .unpacksItself(
                    "is compressed with \(format), and \(program) of the Debian package \(package) is missing")
            }
            paths.append(path)
        }
        return paths
    }

    private static func damaged(_ kernel: String, _ reason: String, by result: ToolResult? = nil) -> Diagnostic {
        Diagnostic(
            .image, "the kernel \(kernel) \(reason)", remedy: "copy, download or build it again",
            cause: result.map { "\($0.name): \($0.status)" }, notes: Array((result?.errors ?? []).suffix(4)))
    }

    // MARK: Making one

    private var folder: String { "\(directory)/kernels" }
    private var lockPath: String { "\(directory)/locks/kernels" }

    private func cached(
        _ file: [UInt8], _ payload: KernelPayload, _ programs: [String], from kernel: String
    ) async throws -> Outcome {
        // Hashes the bytes that are unpacked, even if the path gets a new kernel meanwhile.
        let key = try await FileHash.sha256(of: file)
        let path = "\(folder)/\(key)"
        if isIntact(path, payload) { return .unpacked(path) }
        for name in [folder, "\(directory)/locks"] { try FileTree.makeFolder(name) }
        let lock = try await FileLock.acquire(lockPath)
        defer { lock.release() }
        // Another process may have made it during the wait.
        if isIntact(path, payload) { return .unpacked(path) }
        removeUnfinished()
        let new = "\(path).new"
        defer { try? FileTree.remove(new) }
        let begun = ContinuousClock.now
        try await unpack(payload, of: file, programs, to: new, from: kernel)
        Logger(label: "vmlab.images").debug(
            "kernel was unpacked", metadata: ["kernel": "\(kernel)", "ms": "\(begun.millisecondsAgo)"])
        guard UnpackedKernel.isBootable(try SmallFile.bytes(new, limit: ELFHeader.size)) else {
            return .asItIs(reason: "has a payload that is not a 64-bit ELF kernel")
        }
        try FileTree.move(new, to: path)
        removeOldest()
        return .unpacked(path)
    }

    private func unpack(
        _ payload: KernelPayload, of file: [UInt8], _ programs: [String], to path: String, from kernel: String
    ) async throws {
        let input = try OwnedDescriptor.memoryFile("payload", holding: Array(file[payload.bytes]))
        let output = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
        let (source, target) = (input.number, output.number)
        // Against malformed files: no more output than declared, and no more memory than these formats need.
        let limits = ["--fsize=\(payload.unpackedSize)", "--as=\(2 << 30)", "--core=0"]
        let result = try await withDeadline(.now + Self.patience) {
            try await Tool.run(
                programs[0], limits + ["--", programs[1], "-d", "-c"],
                standardInput: .descriptor(source), output: .descriptor(target))
        }
        if result.errors.contains(where: { $0.contains("No space left on device") }) {
            throw SystemCallError("write", errno: ENOSPC, path)
        }
        guard result.status.isSuccess else {
            throw Self.damaged(kernel, "is damaged: its \(payload.format) payload does not unpack", by: result)
        }
        let size = FileStamp(path)?.size ?? 0
        guard size == payload.unpackedSize else {
            let reason = "is damaged: it unpacks to \(size) bytes instead of \(payload.unpackedSize)"
            throw Self.damaged(kernel, reason)
        }
    }

    // MARK: Keeping and removing them

    /// Whether it is complete. Only its start is read: reading all would cost more than it finds.
    private func isIntact(_ path: String, _ payload: KernelPayload) -> Bool {
        guard FileStamp(path)?.size == UInt64(payload.unpackedSize),
            let start = try? SmallFile.bytes(path, limit: ELFHeader.size)
        else { return false }
        return UnpackedKernel.isBootable(start)
    }

    /// Records the use; false when the file is missing. The modification time is the time of last use.
    private func use(_ path: String) -> Bool {
        // A read-only cache is no error.
        utimensat(AT_FDCWD, path, nil, 0) == 0 || errno != ENOENT
    }

    /// Removes kernels unused for an hour and leftovers of killed processes, unless another process is making one. Returns the
    /// bytes freed.
    func prune() -> UInt64 {
        guard let lock = try? FileLock.tryAcquire(lockPath) else { return 0 }
        defer { lock.release() }
        return removeUnfinished() + remove(unusedKernels())
    }

    /// Enforces the capacity; requires the lock.
    private func removeOldest() {
        let excess = ((try? FileTree.names(in: folder)) ?? []).count - Self.capacity
        _ = remove(Array(unusedKernels().prefix(max(0, excess))))
    }

    @discardableResult
    private func removeUnfinished() -> UInt64 {
        remove(((try? FileTree.names(in: folder)) ?? []).filter { $0.hasSuffix(".new") })
    }

    /// The kernels that may be removed, least recently used first.
    private func unusedKernels() -> [String] {
        let latest = Int64(Date().timeIntervalSince1970 * 1e9) - Self.grace.components.seconds * 1_000_000_000
        let used = ((try? FileTree.names(in: folder)) ?? []).compactMap { name in
            FileStamp("\(folder)/\(name)").map { (name, $0.modified) }
        }
        return used.filter { $0.1 < latest }.sorted { $0.1 < $1.1 }.map(\.0)
    }

    private func remove(_ names: [String]) -> UInt64 {
        names.reduce(0) { $0 + (CacheFolder.remove("\(folder)/\($1)") ?? 0) }
    }
}

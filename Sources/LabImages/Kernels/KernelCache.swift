import Diagnostics
import Foundation
import Glibc
import Hashing
import HostSystem
import KernelFormat
import Logging
import Synchronization

/// Unpacked kernels on this host: each guest that boots a `bzImage` would spend its own time on unpacking it (seconds, for an
/// xz payload), so this is done once, by the host's programs, and the result is kept.
///
/// ```
/// kernels/<hash>        the ELF vmlinux of the bzImage with that SHA-256; appears whole or not at all
/// kernels/<hash>.new    one in the making, or what a killed process left
/// locks/kernels         held while one is made or removed
/// ```
/// What is lost on the way is KASLR, which is the unpacking code's work: an unpacked kernel boots as with `nokaslr`, at the
/// addresses of its symbols.
package final class KernelCache: Sendable {
    package enum Outcome: Sendable, Hashable {
        /// The ELF kernel at this path, in place of the file that was asked for.
        case unpacked(String)
        /// That file, for a reason that goes on from "the kernel".
        case asItIs(reason: String)
    }

    /// Which state of which file: as long as these are the same, a process looks at it once.
    private struct Identity: Hashable {
        let path: String
        let size: UInt64
        let modified: Int64
    }

    private typealias Work = Completion<Result<Outcome, any Error>>

    private let directory: String
    private let searchPath: String?
    private let works = Mutex<[Identity: Work]>([:])

    /// No payload takes so long, even on a busy host.
    private static let patience = Duration.seconds(120)
    /// The programs that unpack kernels, each with its Debian package. Where one is missing, kernels that need it unpack
    /// themselves in each guest.
    package static var programs: [String: String] {
        let formats = KernelPayload.Format.allCases.map { ($0.rawValue, $0.package) }
        return Dictionary(uniqueKeysWithValues: formats + [(limiter.program, limiter.package)])
    }

    private static let limiter = (program: "prlimit", package: "util-linux")
    /// Kernels that are kept; the one that was not used for the longest time goes first.
    static let capacity = 8
    /// One that was used this recently is never removed: its guest may be about to open it.
    static let grace = Duration.seconds(3600)

    /// The kernels in a cache folder, by default this user's. Programs are looked for in `searchPath`, by default `PATH`.
    package init(cacheDirectory: String = ImageStore.defaultDirectory, searchPath: String? = Environment["PATH"]) {
        directory = cacheDirectory
        self.searchPath = searchPath
    }

    /// What guests that are to boot `kernel` had better boot: the unpacked kernel, made first when it is not there or broken.
    /// Any number of tasks and processes may ask at the same time; one of them makes it.
    ///
    /// Throws a `Diagnostic` when the kernel is damaged so that it could not boot by itself either, and `CancellationError`.
    /// What the host lacks is no error: then the kernel unpacks itself in the guest.
    package func bootable(_ kernel: String) async throws -> Outcome {
        guard let facts = FileStamp(kernel), facts.isFile,
            let start = try? SmallFile.bytes(kernel, limit: LinuxHeader.least)
        else { return .asItIs(reason: "cannot be read") }
        guard LinuxHeader.isBZImage(start) else { return .asItIs(reason: "is not a bzImage") }
        let identity = Identity(path: kernel, size: facts.size, modified: facts.modified)
        let outcome = try await work(identity).wait().get()
        guard case .unpacked(let path) = outcome, !use(path) else { return outcome }
        // Somebody emptied the cache meanwhile.
        works.withLock { _ = $0.removeValue(forKey: identity) }
        return try await work(identity).wait().get()
    }

    /// The work on a file, which goes on when the task that began it is cancelled: others may wait for it.
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

    /// The paths of what limits the program that unpacks, and of that program.
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
        // Exactly the bytes that are unpacked, though somebody may write a new kernel to that path meanwhile.
        let key = try await FileHash.sha256(of: file)
        let path = "\(folder)/\(key)"
        if isIntact(path, payload) { return .unpacked(path) }
        for name in [folder, "\(directory)/locks"] { try FileTree.makeFolder(name) }
        let lock = try await FileLock.acquire(lockPath)
        defer { lock.release() }
        // Another may have made it meanwhile.
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
        // However a file lies about itself: no byte more than it says, and no memory beyond what these formats need.
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

    /// Whether it is there in full. The rest of its contents is not read: that would cost more than it finds.
    private func isIntact(_ path: String, _ payload: KernelPayload) -> Bool {
        guard FileStamp(path)?.size == UInt64(payload.unpackedSize),
            let start = try? SmallFile.bytes(path, limit: ELFHeader.size)
        else { return false }
        return UnpackedKernel.isBootable(start)
    }

    /// Notes that it is used now; false when it is not there. The time of the last change tells since when it is not used.
    private func use(_ path: String) -> Bool {
        // A cache that we may only read is as good.
        utimensat(AT_FDCWD, path, nil, 0) == 0 || errno != ENOENT
    }

    /// Removes kernels that no guest has used within the last hour, and what killed processes left, unless another process
    /// is making one just now. Returns the bytes freed.
    func prune() -> UInt64 {
        guard let lock = try? FileLock.tryAcquire(lockPath) else { return 0 }
        defer { lock.release() }
        return removeUnfinished() + remove(unusedKernels())
    }

    /// Makes room with the lock held.
    private func removeOldest() {
        let excess = ((try? FileTree.names(in: folder)) ?? []).count - Self.capacity
        _ = remove(Array(unusedKernels().prefix(max(0, excess))))
    }

    @discardableResult
    private func removeUnfinished() -> UInt64 {
        remove(((try? FileTree.names(in: folder)) ?? []).filter { $0.hasSuffix(".new") })
    }

    /// Those that may be removed, the one that was last used the longest time ago first.
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

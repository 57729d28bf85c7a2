import Diagnostics
import FoundationEssentials
import Glibc
import GuestConsole
import HostSystem
import LabSpec
import Synchronization

/// Copies files between the host and one guest, as tar streams.
///
/// Guests with an exchange disk read and write the stream directly on that disk: 64 MiB take seconds even in emulation. The
/// guest drops its cached blocks before it reads and flushes them after it wrote, and the host uses the same page cache as
/// QEMU, so both see the same bytes. Other guests get the stream over the console: Base64 inwards, framed raw bytes outwards.
struct FileExchange: Sendable {
    let session: CommandSession
    /// The exchange disk's file on the host; nil for guests without one.
    let disk: String?
    let os: GuestOS
    /// Whether the session's channel is also the kernel console.
    let sharesConsole: Bool

    /// Fulfilled once the guest turned out not to see its exchange disk.
    private let isDiskUnseen = Completion<Void>()

    init(session: CommandSession, disk: String?, os: GuestOS, sharesConsole: Bool = false) {
        (self.session, self.disk, self.os, self.sharesConsole) = (session, disk, os, sharesConsole)
    }

    /// Copies a host file or folder into the guest, within `access`. Throws a `Diagnostic` that names both paths.
    func put(
        _ copy: FileCopy, with access: HostAccess, deadline: ContinuousClock.Instant
    ) async throws {
        let failure = "\(copy.host) could not be copied to \(copy.guest)"
        if let exchange = try openDisk() {
            let descriptor = exchange.descriptor
            let count = try await pack(copy, with: access, into: descriptor, failure, deadline)
            // busybox's tar reads to the end of its input, which on the disk would be 64 GiB away.
            let script = """
                \(GuestScript.unpack)\(GuestScript.findDisk)blockdev --flushbufs $d || exit
                dd if=$d bs=\(GuestScript.blockSize) count=\(count / GuestScript.blockSize + 1) 2>/dev/null | unpack
                """
            if try await inGuestByDisk(script, deadline: deadline, failure: failure) { return }
        }
        let archive = try await onHost(failure, in: Environment.temporaryFolder) { try BoundedArchive(limit: .max) }
        _ = try await pack(copy, with: access, into: archive.descriptor, failure, deadline)
        let text = Data(try archive.bytes()).base64EncodedString(
            options: [.lineLength76Characters, .endLineWithLineFeed])
        let script = "\(GuestScript.unpack)base64 -d <<'VMLAB_END' | unpack\n\(text)\nVMLAB_END"
        let (result, said) = try await inGuest(script, isCopy: sharesConsole, deadline: deadline)
        try judge(result, said: said, failure: failure)
    }

    /// Packs the source, with holes where the guest supports them; returns the archive's length.
    private func pack(
        _ copy: FileCopy, with access: HostAccess, into descriptor: Int32, _ failure: String,
        _ deadline: ContinuousClock.Instant
    ) async throws -> Int {
        let guest = try linuxPath(copy.guest)
        return try await onHost(
            failure, in: disk ?? Environment.temporaryFolder, needing: { FileTree.space(of: copy.host) }
        ) {
            var packed = try await withDeadline(deadline) {
                try await TreePacker.pack(copy, as: guest, with: access, keepsHoles: true, into: descriptor)
            }
            if packed.hasHoles {
                let answer = try await session.control(GuestCommand(GuestScript.knowsHoles), deadline: deadline)
                if answer.exit != 0 {
                    packed = try await withDeadline(deadline) {
                        try await TreePacker.pack(copy, as: guest, with: access, keepsHoles: false, into: descriptor)
                    }
                }
            }
            return packed.count
        }
    }

    /// Copies a guest file or folder, or all that match a pattern, into a host folder, under its own name or, if that is taken, the
    /// next such as `name-2`. A link given as the source is followed. Throws a `Diagnostic` of category `guest` when the source
    /// does not exist, or the archive exceeds the limit or is damaged.
    func get(
        _ collection: FileCollection, into folder: HostFolder, deadline: ContinuousClock.Instant
    ) async throws -> CollectedFiles {
        let failure = "\(collection.path) could not be collected"
        if let problem = GuestPaths.problem(collection.path, for: .collected) {
            throw Diagnostic(.guest, failure, remedy: problem.remedy, cause: "the path \(problem.what)")
        }
        let parts = try linuxPath(collection.path).split(separator: "/")
        let name = String(parts.last ?? "")
        let path = "/" + parts.joined(separator: "/")
        var limit = CopyLimit.standard
        if let bytes = collection.limit { limit.bytes = bytes }
        let pattern = GuestPattern(path, ignoresCase: os == .windows)
        if let pattern, let matches = try await list(pattern, path, failure, deadline) {
            let find = GuestScript.find(matches, in: pattern.folder)
            return try await get(find, as: nil, into: folder, limit, failure, deadline)
        }
        let find = GuestScript.find(path) + GuestScript.refuseSpecial
        let files = try await get(find, as: name, into: folder, limit, failure, deadline)
        // Parts of a requested file may be skipped, but not all of it.
        if files.names.isEmpty {
            throw Diagnostic(
                .guest, failure,
                cause: files.notes.isEmpty ? "the guest could not read it" : files.notes.joined(separator: "; "))
        }
        return files
    }

    /// The files that match a pattern, relative to its folder; nil when a file has the pattern as its literal path.
    private func list(
        _ pattern: GuestPattern, _ path: String, _ failure: String, _ deadline: ContinuousClock.Instant
    ) async throws -> [String]? {
        let listing = Mutex<[UInt8]>([])
        let script = GuestScript.list(path, in: pattern.folder, depth: pattern.depth)
        let result = try await session.control(GuestCommand(script), deadline: deadline) { bytes in
            listing.withLock { if $0.count <= Self.listingLimit { $0 += bytes } }
        }
        if result.exit == GuestScript.isPath { return nil }
        let bytes = listing.withLock { $0 }
        guard bytes.count <= Self.listingLimit else {
            throw Diagnostic(
                .guest, failure, remedy: "name the folder that they are in more closely",
                cause: "there are too many files to look through")
        }
        // Names that are not UTF-8 cannot be written in a script; such files are copied with their folder.
        let paths = bytes.split(separator: 0).compactMap { String(validating: $0.dropFirst(2), as: UTF8.self) }
        let matches = pattern.matches(paths)
        guard !matches.isEmpty else { throw Diagnostic(.guest, failure, cause: "no file in the guest matches it") }
        return matches
    }

    /// The limit for a listing of paths, in bytes.
    private static let listingLimit = 8 << 20

    /// Copies the files that `find` makes the arguments of `pack`; a single file is called `name`.
    private func get(
        _ find: String, as name: String?, into folder: HostFolder, _ limit: CopyLimit, _ failure: String,
        _ deadline: ContinuousClock.Instant
    ) async throws -> CollectedFiles {
        // The overhead of an archive.
        let room = limit.bytes.bytes &+ UInt64(limit.entries) * 2048
        if let exchange = try openDisk() {
            let script = GuestScript.findDisk + find + GuestScript.pack + GuestScript.packToDisk(limit: room)
            let (result, said) = try await inGuest(script, deadline: deadline)
            if result.exit != GuestScript.noDisk {
                if result.exit == GuestScript.tooMuch { throw limit.bytesExceeded.diagnostic(failure) }
                if result.exit == GuestScript.diskRefused, let disk {
                    throw SystemCallError("write", errno: ENOSPC, disk).diagnostic(failure, in: disk) { nil }
                }
                let remarks = try judgePacking(result, said: said, failure: failure)
                if let name, let remark = remarks.first(where: { $0.hasPrefix("./\(name): ") }) {
                    throw Diagnostic(.guest, failure, cause: "not all of it could be read (\(remark.dropFirst(2)))")
                }
                var files = try await take(name, from: exchange.descriptor, into: folder, limit, failure, deadline)
                files.notes += remarks
                return files
            }
            isDiskUnseen.fulfil()
        }
        let archive = try await onHost(failure, in: Environment.temporaryFolder) { try BoundedArchive(limit: room) }
        let decoder = Mutex(Base64Lines())
        let script = find + GuestScript.pack + (sharesConsole ? GuestScript.packAsText : GuestScript.packAsBytes)
        let result = try await session.control(GuestCommand(script), isCopy: sharesConsole, deadline: deadline) {
            bytes in
            archive.append(sharesConsole ? decoder.withLock { $0.receive(bytes) }[...] : bytes)
        }
        _ = try judgePacking(result, said: "", failure: failure)
        guard try await onHost(failure, in: Environment.temporaryFolder, { try archive.finish() }) else {
            throw limit.bytesExceeded.diagnostic(failure)
        }
        return try await take(name, from: archive.descriptor, into: folder, limit, failure, deadline)
    }

    // MARK: Small contents

    /// The limit for copies over the console, in bytes: for so little, a disk and two archives would take several times as long.
    static let smallLimit = 8 << 10

    /// Writes a guest file of at most `smallLimit` bytes. Throws as `put`.
    func write(small bytes: [UInt8], to path: String, deadline: ContinuousClock.Instant) async throws {
        let target = GuestScript.quoted(try linuxPath(path))
        let text = Data(bytes).base64EncodedString(options: [.lineLength76Characters, .endLineWithLineFeed])
        let script = "d=\(target); mkdir -p -- \"${d%/*}/\" && base64 -d > \(target) <<'VMLAB_END'\n\(text)\nVMLAB_END"
        let (result, said) = try await inGuest(script, deadline: deadline)
        try judge(result, said: said, failure: "\(path) could not be written")
    }

    /// The content of a guest file; nil when it is larger than `smallLimit` bytes. Throws as `get`, also for a folder.
    func read(small path: String, deadline: ContinuousClock.Instant) async throws -> [UInt8]? {
        // By its content, not its reported length, which is 0 for files in /proc.
        let script = """
            p=\(GuestScript.quoted(try linuxPath(path)))
            [ -e "$p" ] || exit \(GuestScript.missing)
            \(GuestScript.refuseFolder)\(GuestScript.refuseSpecial)exec head -c \(Self.smallLimit + 1) < "$p"
            """
        let content = Mutex<[UInt8]>([])
        let result = try await session.control(GuestCommand(script), deadline: deadline) { bytes in
            content.withLock { if $0.count <= Self.smallLimit { $0 += bytes } }
        }
        let bytes = content.withLock { $0 }
        try judge(result, said: String(decoding: bytes, as: UTF8.self), failure: "\(path) could not be read")
        return bytes.count <= Self.smallLimit ? bytes : nil
    }

    /// Unpacks an archive in a temporary folder, and moves its content into place.
    private func take(
        _ name: String?, from archive: Int32, into folder: HostFolder, _ limit: CopyLimit, _ failure: String,
        _ deadline: ContinuousClock.Instant
    ) async throws -> CollectedFiles {
        try await onHost(failure, in: folder.path, needing: { FileTree.space(of: archive) }) {
            let incoming = try IncomingFolder(in: folder)
            let notes = try await withDeadline(deadline) { [folder = incoming.folder] in
                try await TarUnpacker.unpack(archive, into: folder, limit: limit)
            }
            return CollectedFiles(names: try incoming.deliver(as: name.map { Array($0.utf8) }), notes: notes)
        }
    }

    /// Runs `body` on the host. System call and archive errors become a diagnostic with the headline `failure`; when `folder`
    /// is full, with the space that is needed.
    private func onHost<Result>(
        _ failure: String, in folder: String, needing need: () -> UInt64? = { nil }, _ body: () async throws -> Result
    ) async throws -> Result {
        do {
            return try await body()
        } catch let error as SystemCallError {
            throw error.diagnostic(failure, in: folder, needing: need)
        } catch let error as ArchiveError {
            throw error.diagnostic(failure)
        } catch is DeadlineExceeded {
            // The same error as when the guest takes too long.
            throw ConsoleError.deadline
        }
    }

    /// The warnings of a guest that has packed all or most files. Throws when packing failed.
    private func judgePacking(_ result: CommandResult, said: String, failure: String) throws -> [String] {
        if result.exit == GuestScript.incomplete { return said.split(whereSeparator: \.isNewline).map(String.init) }
        try judge(result, said: said, failure: failure)
        return []
    }

    private func openDisk() throws -> ExchangeDisk? {
        guard let disk, isDiskUnseen.current == nil else { return nil }
        return try ExchangeDisk(opening: disk)
    }

    /// Runs a script that uses the disk. False when the guest does not see the disk: from then on the console is used.
    private func inGuestByDisk(_ script: String, deadline: ContinuousClock.Instant, failure: String) async throws
        -> Bool
    {
        let (result, said) = try await inGuest(script, deadline: deadline)
        if result.exit == GuestScript.noDisk {
            isDiskUnseen.fulfil()
            return false
        }
        try judge(result, said: said, failure: failure)
        return true
    }

    private func inGuest(
        _ script: String, isCopy: Bool = false, deadline: ContinuousClock.Instant
    ) async throws -> (CommandResult, String) {
        let said = Mutex<[UInt8]>([])
        let result = try await session.control(GuestCommand(script), isCopy: isCopy, deadline: deadline) { bytes in
            said.withLock { if $0.count < 4096 { $0 += bytes } }
        }
        return (result, said.withLock { String(decoding: $0, as: UTF8.self) })
    }

    private func judge(_ result: CommandResult, said: String, failure: String) throws {
        guard result.exit != 0 else { return }
        let words = said.split(whereSeparator: \.isNewline).joined(separator: "; ")
        throw Diagnostic(
            .guest, failure,
            cause: GuestScript.cause(of: result.exit)
                ?? (words.isEmpty ? "exit status \(result.exit) in the guest" : words))
    }

    /// The path on the guest's Linux side: drive C of a Windows-like guest is at `/c`. Throws for a path that cannot be quoted
    /// for a shell.
    private func linuxPath(_ path: String) throws -> String {
        if path.utf8.contains(0) {
            throw Diagnostic(.specification, "the guest path \(path.quoted()) has a NUL byte")
        }
        guard os == .windows else { return path }
        let slashed = String(path.map { $0 == "\\" ? "/" : $0 })
        guard slashed.dropFirst().hasPrefix(":"), let drive = slashed.first else { return slashed }
        return "/\(drive.lowercased())" + slashed.dropFirst(2)
    }
}

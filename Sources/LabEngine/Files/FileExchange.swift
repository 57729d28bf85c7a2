import Diagnostics
import FoundationEssentials
import Glibc
import GuestConsole
import HostSystem
import LabSpec
import Synchronization

/// Copies files between the host and one guest, as tar streams.
///
/// Guests with an exchange disk read and write the stream straight from that disk: 64 MiB take seconds even in emulation.
/// The guest drops its cached blocks before it reads and writes them back after it wrote, and the host goes through the page
/// cache that QEMU uses too, so both always see the same bytes. Guests without one get the stream over the console: base64
/// inwards, framed raw bytes outwards.
struct FileExchange: Sendable {
    let session: CommandSession
    /// The exchange disk's file on the host; nil for guests that have none.
    let disk: String?
    let os: GuestOS

    /// Set once the guest was found not to see its exchange disk.
    private let isDiskUnseen = Completion<Bool>()

    /// An exchange with the guest that the session speaks to.
    init(session: CommandSession, disk: String?, os: GuestOS) {
        (self.session, self.disk, self.os) = (session, disk, os)
    }

    /// The guest's exit status for a path that does not exist.
    private static let missing: Int32 = 66
    /// Its exit status where it does not see the exchange disk.
    private static let noDisk: Int32 = 67

    /// How much of the disk the guest reads at a time, in bytes.
    private static let blockSize = 1 << 18

    /// Copies a host file or folder into the guest. Throws a `Diagnostic` that names both paths.
    func put(_ copy: FileCopy, deadline: ContinuousClock.Instant) async throws {
        let failure = "\(copy.host) could not be copied to \(copy.guest)"
        if let exchange = try openDisk() {
            try await TarStream.pack(host: copy.host, guest: linuxPath(copy.guest), into: exchange.descriptor)
            // busybox's tar reads on to the end of its input, which on the disk itself is 64 GiB away.
            let blocks = try exchange.position() / Self.blockSize + 1
            let script = """
                \(Self.findDisk)
                blockdev --flushbufs $d && dd if=$d bs=\(Self.blockSize) count=\(blocks) 2>/dev/null | tar -xf - -C /
                """
            if try await inGuestByDisk(script, deadline: deadline, failure: failure) { return }
        }
        let archive = try TemporaryFile()
        try await TarStream.pack(host: copy.host, guest: linuxPath(copy.guest), into: archive.descriptor)
        let text = Data(try archive.bytes()).base64EncodedString(
            options: [.lineLength76Characters, .endLineWithLineFeed])
        let script = "base64 -d <<'VMLAB_END' | tar -xf - -C /\n\(text)\nVMLAB_END"
        let (result, said) = try await inGuest(script, deadline: deadline)
        try judge(result, said: said, failure: failure)
    }

    /// Copies a guest file or folder into the host folder `folder`, under its own name or, where that is taken, the next
    /// like `name-2`, and returns that name.
    ///
    /// Throws a `Diagnostic` of category `guest` when it does not exist in the guest.
    func get(_ path: String, into folder: String, deadline: ContinuousClock.Instant) async throws -> String {
        let guestPath = linuxPath(path)
        let parts = guestPath.split(separator: "/")
        guard let name = parts.last.map(String.init), name != ".", name != ".." else {
            throw Diagnostic(
                .guest, "\(path) could not be collected", remedy: "name a file or a folder of the guest",
                cause: "it has no name of its own")
        }
        let members = "-C \(quoted("/" + parts.dropLast().joined(separator: "/"))) -- \(quoted(name))"
        let check = "[ -e \(quoted(guestPath)) ] || [ -L \(quoted(guestPath)) ] || exit \(Self.missing)\n"
        let failure = "\(path) could not be collected"
        if let exchange = try openDisk() {
            let script = check + Self.findDisk + "\ntar -cf $d \(members) && blockdev --flushbufs $d"
            if try await inGuestByDisk(script, deadline: deadline, failure: failure) {
                return try await take(name, from: exchange.descriptor, into: folder)
            }
        }
        let archive = try TemporaryFile()
        let descriptor = archive.descriptor
        let trouble = Mutex<SystemCallError?>(nil)
        // What tar remarks must not get into its stream.
        let script = "\(check)tar -cf - \(members) 2>/dev/null"
        let result = try await session.plumb(GuestCommand(script), deadline: deadline) { bytes in
            do throws(SystemCallError) {
                try writeAll(descriptor, bytes)
            } catch {
                trouble.withLock { $0 = $0 ?? error }
            }
        }
        if let error = trouble.withLock({ $0 }) { throw error.diagnostic(failure) }
        try judge(result, said: "", failure: failure)
        try archive.rewind()
        return try await take(name, from: descriptor, into: folder)
    }

    // MARK: Small contents

    /// What goes by way of the console: for this much a disk and two archives would take several times as long, in bytes.
    static let smallLimit = 8 << 10
    /// The guest's exit status for a file that is larger, or no file.
    private static let notSmall: Int32 = 68

    /// Makes a guest file of at most `smallLimit` bytes. Throws as `put`.
    func write(small bytes: [UInt8], to path: String, deadline: ContinuousClock.Instant) async throws {
        let target = quoted(linuxPath(path))
        let text = Data(bytes).base64EncodedString(options: [.lineLength76Characters, .endLineWithLineFeed])
        let script = "d=\(target); mkdir -p -- \"${d%/*}/\" && base64 -d > \(target) <<'VMLAB_END'\n\(text)\nVMLAB_END"
        let (result, said) = try await inGuest(script, deadline: deadline)
        try judge(result, said: said, failure: "\(path) could not be written")
    }

    /// The content of a guest file; nil when it has more than `smallLimit` bytes, or is no plain file. Throws as `get`.
    func read(small path: String, deadline: ContinuousClock.Instant) async throws -> [UInt8]? {
        let source = quoted(linuxPath(path))
        let script = """
            [ -e \(source) ] || exit \(Self.missing)
            [ -f \(source) ] && [ "$(wc -c < \(source))" -le \(Self.smallLimit) ] || exit \(Self.notSmall)
            exec cat < \(source)
            """
        let content = Mutex<[UInt8]>([])
        let result = try await session.plumb(GuestCommand(script), deadline: deadline) { bytes in
            content.withLock { if $0.count <= 2 * Self.smallLimit { $0 += bytes } }
        }
        if result.exit == Self.notSmall { return nil }
        let bytes = content.withLock { $0 }
        try judge(result, said: String(decoding: bytes, as: UTF8.self), failure: "\(path) could not be read")
        return bytes.count <= Self.smallLimit ? bytes : nil
    }

    /// Unpacks an archive and moves what is called `name` into the folder. In an empty folder of its own first: tar keeps an
    /// archive from leaving by its own links, but not by links that an earlier one brought.
    private func take(_ name: String, from archive: Int32, into folder: String) async throws -> String {
        let incoming = folder + "/.incoming"
        try FileTree.remove(incoming)
        try FileTree.makeFolder(incoming, mode: 0o700)
        defer { try? FileTree.remove(incoming) }
        try await TarStream.unpack(archive, into: incoming)
        let taken = Set(try FileTree.names(in: folder))
        var free = name
        var number = 1
        while taken.contains(free) {
            number += 1
            free = "\(name)-\(number)"
        }
        guard rename(incoming + "/" + name, folder + "/" + free) == 0 else {
            throw SystemCallError("rename", folder + "/" + free)
        }
        return free
    }

    /// Sets `$d` to the exchange disk's device, or ends with `noDisk`: a kernel of the lab's own may have no driver for it.
    private static let findDisk = """
        for d in /sys/block/*; do s=; read -r s <$d/serial; [ "$s" = \(ExchangeDisk.serial) ] && break; done 2>/dev/null
        [ "$s" = \(ExchangeDisk.serial) ] || exit \(noDisk)
        d=/dev/${d##*/}
        """

    private func openDisk() throws -> ExchangeDisk? {
        guard let disk, isDiskUnseen.current == nil else { return nil }
        return try ExchangeDisk(opening: disk)
    }

    /// Runs a script that uses the disk. False when the guest does not see it: then and from then on it is the console.
    private func inGuestByDisk(_ script: String, deadline: ContinuousClock.Instant, failure: String) async throws
        -> Bool
    {
        let (result, said) = try await inGuest(script, deadline: deadline)
        if result.exit == Self.noDisk {
            isDiskUnseen.fulfil(true)
            return false
        }
        try judge(result, said: said, failure: failure)
        return true
    }

    private func inGuest(_ script: String, deadline: ContinuousClock.Instant) async throws -> (CommandResult, String) {
        let said = Mutex<[UInt8]>([])
        let result = try await session.plumb(GuestCommand(script), deadline: deadline) { bytes in
            said.withLock { if $0.count < 4096 { $0 += bytes } }
        }
        return (result, said.withLock { String(decoding: $0, as: UTF8.self) })
    }

    private func judge(_ result: CommandResult, said: String, failure: String) throws {
        guard result.exit != 0 else { return }
        let words = said.split(whereSeparator: \.isNewline).joined(separator: "; ")
        let cause = words.isEmpty ? "exit status \(result.exit) in the guest" : words
        throw Diagnostic(
            .guest, failure, cause: result.exit == Self.missing ? "there is no such file in the guest" : cause)
    }

    /// The path as the guest's Linux side sees it: drive C of a Windows-like guest lies at `/c`.
    private func linuxPath(_ path: String) -> String {
        guard os == .windows else { return path }
        let slashed = String(path.map { $0 == "\\" ? "/" : $0 })
        guard slashed.dropFirst().hasPrefix(":"), let drive = slashed.first else { return slashed }
        return "/\(drive.lowercased())" + slashed.dropFirst(2)
    }

    private func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}

import Diagnostics
import GuestConsole
import Glibc
import HostSystem
import LabSpec

/// Copies files between the host and one guest.
///
/// Guests with an exchange disk read and write the tar stream straight from that disk: 64 MiB take seconds even in
/// emulation. The guest drops its cached blocks before it reads and writes them back after it wrote, the host goes through
/// the page cache that QEMU uses too, and only one side uses the disk at a time, so both always see the same bytes.
/// Guests without one get the same stream over the console: base64 inwards, framed raw bytes outwards.
struct FileExchange: Sendable {
    /// Virtual size of an exchange disk. It is sparse: it takes what is copied, and gives it back after each copy.
    static let diskSize = ByteCount.gibibytes(64)
    /// The virtio serial by which the guest finds it.
    static let diskSerial = "vmlab-xchg"

    let session: CommandSession
    /// The exchange disk's file on the host; nil for guests that have none.
    let disk: String?
    let os: GuestOS

    /// Makes an empty exchange disk.
    static func makeDisk(at path: String) throws {
        let file = try OwnedDescriptor.open(path, flags: O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode: 0o600)
        try file.truncate(to: Int64(diskSize.bytes))
    }

    /// Copies a host file or folder into the guest.
    func put(_ copy: FileCopy, deadline: ContinuousClock.Instant) async throws {
        let guestPath = linuxPath(copy.guest)
        guard let disk else { return try await putOverConsole(copy.host, guestPath, deadline: deadline) }
        let file = try OwnedDescriptor.open(disk, flags: O_RDWR | O_CLOEXEC)
        defer { file.punchHole() }
        try await TarStream.pack(host: copy.host, guest: guestPath, into: file.number)
        let script = """
            \(Self.findDisk)
            blockdev --flushbufs $d && tar -xf $d -C /
            """
        try await inGuest(script, deadline: deadline, failure: "\(copy.host) could not be copied to \(copy.guest)")
    }

    /// Copies a guest file or folder into the host folder `folder`, under its own name. Returns that name.
    ///
    /// Throws a `Diagnostic` when it does not exist in the guest.
    func get(_ path: String, into folder: String, deadline: ContinuousClock.Instant) async throws -> String {
        let guestPath = linuxPath(path)
        let name = guestPath.split(separator: "/").last.map(String.init) ?? "root"
        let parent = guestPath.split(separator: "/").dropLast().joined(separator: "/")
        let members = "-C \(quoted("/" + parent)) -- \(quoted(guestPath == "/" ? "." : name))"
        let missing = "[ -e \(quoted(guestPath)) ] || [ -L \(quoted(guestPath)) ] || { echo 'no such file or folder'; exit 66; }"
        guard let disk else {
            return try await getOverConsole(path, missing + "\ntar -cf - " + members, folder, name, deadline: deadline)
        }
        let file = try OwnedDescriptor.open(disk, flags: O_RDWR | O_CLOEXEC)
        defer { file.punchHole() }
        let script = """
            \(missing)
            \(Self.findDisk)
            tar -cf $d \(members) && blockdev --flushbufs $d
            """
        try await inGuest(script, deadline: deadline, failure: "\(path) could not be collected")
        try await TarStream.unpack(file.number, into: folder)
        return name
    }

    /// Sets `$d` to the exchange disk's device.
    private static let findDisk = """
        for d in /sys/block/*; do s=; read -r s <$d/serial; [ "$s" = \(diskSerial) ] && break; done 2>/dev/null
        d=/dev/${d##*/}
        """

    private func inGuest(_ script: String, deadline: ContinuousClock.Instant, failure: String) async throws {
        let said = BoundedText()
        let result = try await session.plumb(
            GuestCommand(script: script), deadline: deadline, silence: nil, output: { said.append($0) })
        guard result.exit == 0 else {
            throw Diagnostic(.guest, failure, cause: said.text.isEmpty ? "exit status \(result.exit)" : said.text)
        }
    }

    private func putOverConsole(_ host: String, _ guest: String, deadline: ContinuousClock.Instant) async throws {
        let archive = try OwnedDescriptor.temporaryFile()
        try await TarStream.pack(host: host, guest: guest, into: archive.number)
        let encoded = Base64.lines(of: try archive.readAll())
        let script = "base64 -d <<'VMLAB_END' | tar -xf - -C /\n\(encoded)VMLAB_END"
        try await inGuest(script, deadline: deadline, failure: "\(host) could not be copied to \(guest)")
    }

    private func getOverConsole(
        _ path: String, _ script: String, _ folder: String, _ name: String, deadline: ContinuousClock.Instant
    ) async throws -> String {
        let archive = try OwnedDescriptor.temporaryFile()
        let number = archive.number
        let writeError = FirstError()
        let result = try await session.plumb(GuestCommand(script: script), deadline: deadline, silence: nil) { bytes in
            writeError.catching { try DescriptorIO.writeAll(number, bytes) }
        }
        try writeError.rethrow()
        guard result.exit == 0 else {
            throw Diagnostic(
                .guest, "\(path) could not be collected",
                cause: result.exit == 66 ? "no such file or folder" : "tar ended with status \(result.exit)")
        }
        try archive.rewind()
        try await TarStream.unpack(number, into: folder)
        return name
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

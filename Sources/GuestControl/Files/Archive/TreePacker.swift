import Diagnostics
import Glibc
import HostSystem
import LabSpec

/// Packs a host file or folder for a guest. A link given as the source is followed; links below it are copied as links, or
/// followed where the copy says so.
struct TreePacker: ~Copyable {
    private let copy: FileCopy
    private let access: HostAccess
    /// Whether the reader of the archive supports holes.
    private let keepsHoles: Bool
    private let cancellation: CancellationFlag
    private var writer: TarWriter
    private var hasHoles = false
    /// The first names of files with several hard links.
    private var names: [FileNumber: [UInt8]] = [:]
    /// The stack of open folders, outermost first.
    private var open: [FileNumber] = []
    /// The paths below the source that are copied; nil copies all.
    private var chosen: Set<[UInt8]>?
    /// The length of the source's path in the archive, with a slash.
    private var rootLength = 0

    private struct FileNumber: Hashable {
        var device: UInt64
        var inode: UInt64

        init(_ status: stat) { (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino)) }
    }

    private static let deepest = 200
    /// The limit for a file that does not report its length, in bytes.
    private static let mostUnsized = 64 << 20

    /// Writes the archive to a descriptor, on a thread of its own. Its members have the copy's path in the guest, relative to the
    /// root, and replace existing files. Returns its length in bytes, and whether it has sparse files. Throws a `SystemCallError`
    /// when reading or writing fails, a `Diagnostic` for paths beyond `access` and as `GitFiles.list`, and `CancellationError`.
    static func pack(
        _ copy: FileCopy, as guest: String, with access: HostAccess, keepsHoles: Bool, into output: Int32
    ) async throws -> (count: Int, hasHoles: Bool) {
        let chosen: Set<[UInt8]>? =
            switch copy.ignore {
            case .git: try await GitFiles.list(in: try real(copy.host, with: access))
            case nil: nil
            }
        return try await HostThread.run("pack") { cancellation in
            try systemCall("lseek") { lseek(output, 0, SEEK_SET) }
            var packer = TreePacker(
                copy: copy, access: access, keepsHoles: keepsHoles, cancellation: cancellation,
                writer: TarWriter(output))
            let name = copy.host.split(separator: "/").last.map(String.init) ?? ""
            let target = guest.hasSuffix("/") ? guest + name : guest
            let member = Array(target.utf8.drop { $0 == UInt8(ascii: "/") })
            (packer.chosen, packer.rootLength) = (chosen, member.count + 1)
            try packer.pack(copy.host, as: member)
            try packer.writer.finish()
            return (packer.writer.count, packer.hasHoles)
        }
    }

    private init(
        copy: FileCopy, access: HostAccess, keepsHoles: Bool, cancellation: CancellationFlag,
        writer: consuming TarWriter
    ) {
        (self.copy, self.access, self.keepsHoles) = (copy, access, keepsHoles)
        self.cancellation = cancellation
        self.writer = writer
    }

    private static func real(_ path: String, with access: HostAccess) throws(Diagnostic) -> String {
        do throws(HostAccess.Refusal) {
            return try access.real(path)
        } catch {
            throw error.diagnostic("the file", path)
        }
    }

    /// Packs the target of a path; links are followed within the permitted folders.
    private mutating func pack(_ path: String, as member: [UInt8]) throws {
        let parts = try Self.real(path, with: access).split(separator: "/").map { Array($0.utf8) }
        let root = try HostFolder("/")
        try pack(RelativePath(names: parts), in: root, as: member)
    }

    private mutating func pack(_ path: RelativePath, in folder: HostFolder, as member: [UInt8]) throws {
        try cancellation.check()
        guard let status = path.names.isEmpty ? try folder.status() : try folder.status(path) else {
            throw SystemCallError("open", errno: ENOENT, folder.subject(path))
        }
        var entry = TarMember(path: member, kind: .folder)
        entry.modified = status.st_mtim
        switch status.st_mode & S_IFMT {
        case S_IFDIR: try packFolder(try folder.folder(path), entry, status)
        case S_IFREG:
            // Nonblocking, for files whose content comes later, as in /proc.
            try packFile(try folder.open(path, O_RDONLY | O_NONBLOCK), entry, status)
        case S_IFLNK where copy.links == .follow:
            // What a link leads to is not asked about.
            let rest = chosen
            chosen = nil
            try pack(folder.subject(path), as: member)
            chosen = rest
        case S_IFLNK:
            entry.kind = .link(to: try folder.linkTarget(path))
            try writer.begin(entry, mode: 0o777)
        case S_IFIFO:
            entry.kind = .special("a FIFO")
            try writer.begin(entry, mode: status.st_mode)
        default:
            throw Diagnostic(
                .specification, "\(folder.subject(path).quoted()) is neither a file nor a folder nor a link",
                remedy: "copy something else")
        }
    }

    private mutating func packFolder(_ folder: HostFolder, _ entry: TarMember, _ status: stat) throws {
        let number = FileNumber(status)
        guard !open.contains(number), open.count < Self.deepest else {
            throw SystemCallError("open", errno: ELOOP, folder.path)
        }
        open.append(number)
        for name in try folder.names().sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let member = entry.path + [UInt8(ascii: "/")] + name
            if let chosen, !chosen.contains(Array(member.dropFirst(rootLength))) { continue }
            try pack(RelativePath(names: [name]), in: folder, as: member)
        }
        open.removeLast()
        // After its content, so that extraction keeps the source's time.
        if !entry.path.isEmpty { try writer.begin(entry, mode: status.st_mode) }
    }

    /// The content of a file that does not report its length.
    private func readUnsized(_ file: borrowing OwnedDescriptor) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            try cancellation.check()
            let piece = try file.read(upTo: 1 << 18, at: bytes.count)
            if piece.isEmpty { return bytes }
            bytes += piece
            guard bytes.count <= Self.mostUnsized else { throw SystemCallError("read", errno: EFBIG, copy.host) }
        }
    }

    private mutating func packFile(
        _ file: consuming OwnedDescriptor, _ entry: TarMember, _ status: stat
    ) throws {
        var entry = entry
        if status.st_nlink > 1 {
            if let first = names[FileNumber(status)] {
                entry.kind = .hardLink(to: first)
                return try writer.begin(entry, mode: status.st_mode)
            }
            names[FileNumber(status)] = entry.path
        }
        entry.kind = .file
        entry.attributes = file.userAttributes()
        entry.size = Int(status.st_size)
        guard entry.size > 0 else {
            // Files in /proc and similar report no length.
            let bytes = try readUnsized(file)
            entry.size = bytes.count
            entry.extents = [TarMember.Extent(offset: 0, length: bytes.count)]
            try writer.begin(entry, mode: status.st_mode)
            try writer.append(bytes[...])
            return try writer.endMember()
        }
        entry.extents = [TarMember.Extent(offset: 0, length: entry.size)]
        if keepsHoles, Int(status.st_blocks) * 512 < entry.size {
            hasHoles = true
            entry.extents = file.data(in: entry.size).map { TarMember.Extent(offset: $0.lowerBound, length: $0.count) }
        }
        try writer.begin(entry, mode: status.st_mode)
        for extent in entry.extents {
            var (offset, rest) = (extent.offset, extent.length)
            while rest > 0 {
                try cancellation.check()
                let piece = try file.read(upTo: min(rest, 1 << 18), at: offset)
                guard !piece.isEmpty else {
                    throw Diagnostic(
                        .host, "\(copy.host.quoted()) changed while it was copied",
                        remedy: "copy it once nothing writes to it")
                }
                try writer.append(piece[...])
                (offset, rest) = (offset + piece.count, rest - piece.count)
            }
        }
        try writer.endMember()
    }
}

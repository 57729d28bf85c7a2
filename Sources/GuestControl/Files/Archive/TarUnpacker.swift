import Diagnostics
import Glibc
import HostSystem
import LabSpec

/// Unpacks a guest's archive into a host folder: plain files and folders with plain modes, and links that stay inside. The
/// guest controls the files' content and nothing else on the host.
struct TarUnpacker: ~Copyable {
    private let root: HostFolder
    private let limit: CopyLimit
    private let cancellation: CancellationFlag
    private var reader: TarReader
    private var bytes: UInt64 = 0
    private var entries = 0
    private var folders: [(path: RelativePath, modified: timespec)] = []
    /// The file that a continuation would extend.
    private var file: PlainFile?
    /// Members that were skipped or changed.
    private var notes: [String] = []

    private init(
        _ archive: Int32, into root: HostFolder, limit: CopyLimit, cancellation: CancellationFlag
    ) {
        reader = TarReader(archive)
        (self.root, self.limit, self.cancellation) = (root, limit, cancellation)
    }

    /// Unpacks the archive from a descriptor into an empty folder, on a thread of its own. Returns a line for each member that was
    /// skipped or changed. Throws an `ArchiveError` for an archive that is damaged, escapes the folder or exceeds the limit, a
    /// `SystemCallError` of the host, and `CancellationError`.
    static func unpack(_ archive: Int32, into root: HostFolder, limit: CopyLimit) async throws -> [String] {
        try await HostThread.run("unpack") { cancellation in
            var unpacker = TarUnpacker(archive, into: root, limit: limit, cancellation: cancellation)
            return try unpacker.run()
        }
    }

    private mutating func run() throws -> [String] {
        while let member = try reader.next(cancellation) {
            do {
                try take(member)
            } catch let error as ArchiveError {
                throw error.about(member.path)
            }
        }
        try finishFile()
        for folder in folders.reversed() {
            let descriptor = try root.open(folder.path, O_RDONLY | O_DIRECTORY)
            descriptor.setModified(folder.modified)
        }
        return notes
    }

    private mutating func take(_ member: TarMember) throws {
        let path: RelativePath
        do throws(RelativePath.Refusal) {
            path = try RelativePath(member.path.drop { $0 == UInt8(ascii: "/") })
        } catch {
            throw ArchiveError("its path is not within the copy: \(error)")
        }
        if case .continuation = member.kind {
            guard file?.path == path else { throw ArchiveError("it continues a file that does not precede it") }
            return try write(member)
        }
        try finishFile()
        if path.names.isEmpty { return }
        entries += 1
        guard entries <= limit.entries else { throw limit.entriesExceeded }
        let parent = try root.makeFolder(path.parent)
        let name = path.last
        let present = try parent.status(name)
        if member.kind == .folder {
            if present == nil { _ = try parent.makeFolder(name) }
            folders.append((path, member.modified))
            return
        }
        guard present == nil else { throw ArchiveError("it occurs twice") }
        switch member.kind {
        case .folder, .continuation: break
        case .file:
            file = try PlainFile(path, in: parent, name, like: member)
            try write(member)
        case .link(let target):
            if Self.staysInside(target, from: path) {
                try parent.makeLink(name, to: target)
            } else {
                let text = "symbolic link to \(String(decoding: target, as: UTF8.self).quoted())"
                // A link's mode has all execute bits, which its text as a file must not have.
                let file = try PlainFile(path, in: parent, name, like: TarMember(path: member.path, kind: .file))
                try file.write(Array((text + "\n").utf8)[...], at: 0)
                note(path, "a \(text), which is not in the copy: written as a text file")
            }
        case .hardLink(let target):
            let first = try? RelativePath(target.drop { $0 == UInt8(ascii: "/") })
            if let first, let status = try root.status(first), status.st_mode & S_IFMT == S_IFREG {
                try root.makeHardLink(path, to: first)
            } else {
                note(path, "another name of a file that is not in the copy: left out")
            }
        case .special(let what): note(path, "\(what): left out")
        }
    }

    private mutating func write(_ member: TarMember) throws {
        guard let file else { return }
        let growth = UInt64(max(0, member.size - file.length))
        guard growth <= limit.bytes.bytes, bytes <= limit.bytes.bytes - growth else {
            throw limit.bytesExceeded
        }
        bytes += growth
        for extent in member.extents {
            var (offset, rest) = (extent.offset, extent.length)
            while rest > 0 {
                try cancellation.check()
                let piece = try reader.read(upTo: rest)
                guard !piece.isEmpty else { throw ArchiveError("it ends too early") }
                try file.write(piece, at: offset)
                (offset, rest) = (offset + piece.count, rest - piece.count)
            }
        }
        file.length = max(file.length, member.size)
    }

    private mutating func finishFile() throws {
        try file?.finish()
        file = nil
    }

    private mutating func note(_ path: RelativePath, _ what: String) {
        notes.append("\("\(path)".quoted()) is \(what)")
    }

    /// Whether a link's target stays inside the link's topmost folder, whatever other such links do: it may go up, but not
    /// above that folder, and after that only down.
    static func staysInside(_ target: [UInt8], from link: RelativePath) -> Bool {
        if target.isEmpty || target.first == UInt8(ascii: "/") || target.contains(0) { return false }
        let steps = target.split(separator: UInt8(ascii: "/")).filter { $0 != [UInt8(ascii: ".")] }
        let up = Array("..".utf8)[...]
        let ups = steps.prefix { $0 == up }.count
        return ups <= link.names.count - 2 && !steps.dropFirst(ups).contains(up) && link.names.count > 1
    }
}

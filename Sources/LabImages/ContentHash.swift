import Diagnostics
import Glibc
import Hashing
import HostSystem
import LabSpec

/// A hash of all that makes a layer: its commands, and the contents, names and modes of the files that go in.
enum ContentHash {
    /// The most files of a layer that are looked at.
    static let mostFiles = 200_000

    /// Throws a `Diagnostic` for a file that cannot be read or that the lab may not name.
    static func of(_ layer: ImageLayer, access: HostAccess) async throws -> String {
        var lines = [layer.packages.joined(separator: " "), layer.setup.map { SHA256.hex($0) } ?? ""]
        if let size = layer.size { lines.append("size \(size.bytes)") }
        for copy in layer.files {
            do throws(HostAccess.Refusal) {
                _ = try access.real(copy.host)
            } catch {
                throw error.diagnostic("a file of the image \(layer.name)", copy.host).placed(at: copy.span)
            }
            lines.append("\(copy.guest)\n\(copy.links) \(copy.ignore.map { "\($0)" } ?? "")")
            var count = 0
            try await add(copy.host, as: "", following: true, links: copy.links, layer, &lines, &count)
        }
        return SHA256.hex(lines.joined(separator: "\n"))
    }

    private static func add(
        _ path: String, as name: String, following: Bool, links: LinkCopy, _ layer: ImageLayer,
        _ lines: inout [String], _ count: inout Int
    ) async throws {
        try Task.checkCancellation()
        count += 1
        guard count <= mostFiles else {
            throw Diagnostic(
                .image, "`files:` of the image \(layer.name) has more than \(mostFiles) files", at: layer.span)
        }
        var status = stat()
        do throws(SystemCallError) {
            let flags = following || links == .follow ? 0 : AT_SYMLINK_NOFOLLOW
            _ = try systemCall("stat", path) { fstatat(AT_FDCWD, path, &status, flags) }
        } catch {
            throw error.diagnostic("cannot read \(path) for the image \(layer.name)")
        }
        let mode = String(status.st_mode & 0o7777, radix: 8)
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            lines.append("folder \(mode) \(name)")
            for entry in try FileTree.names(in: path) {
                try await add(
                    "\(path)/\(entry)", as: "\(name)/\(entry)", following: false, links: links, layer, &lines, &count)
            }
        case S_IFLNK:
            var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let length = max(0, readlink(path, &target, target.count))
            lines.append("link \(name) \(String(decoding: target.prefix(length), as: UTF8.self))")
        case S_IFREG: lines.append("file \(mode) \(name) \(try await FileHash.sha256(of: path))")
        default: lines.append("other \(name)")
        }
    }
}

import Diagnostics
import Glibc

/// A file that a user names as a lab or a script.
public enum TextFile {
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// The bytes of a plain file, without the byte order mark that editors of other systems begin UTF-8 with. Throws for what is none, at once: a pipe would wait for its writer, a device may have no
    /// end. Of a file beyond `limit` only its size is looked at.
    public static func bytes(_ path: String, limit: Int) throws(Diagnostic) -> [UInt8] {
        func failure(_ code: CInt) -> Diagnostic {
            Diagnostic(
                .specification, "\(path.quoted()) cannot be read", remedy: code == ENOENT ? "check the path" : nil,
                cause: String(cString: strerror(code)))
        }
        guard !path.utf8.contains(0) else { throw failure(ENOENT) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        // A socket cannot be opened.
        guard descriptor >= 0 else { throw errno == ENXIO ? notAFile(path, "a socket") : failure(errno) }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw failure(errno) }
        switch facts.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw notAFile(path, "a folder", remedy: "name the file in it")
        case S_IFIFO: throw notAFile(path, "a pipe", remedy: "write its content to a file first")
        default: throw notAFile(path, "a device")
        }
        guard facts.st_size <= limit else {
            throw Diagnostic(
                .specification, "\(path.quoted()) has \(facts.st_size) bytes; at most \(limit) are read",
                remedy: "is it the right file?")
        }
        var bytes: [UInt8] = []
        let chunk = 1 << 16
        // A file of /proc has more than its size says, and one that grows has no end.
        while bytes.count <= limit {
            var failed: CInt?
            let piece = [UInt8](unsafeUninitializedCapacity: chunk) { buffer, count in
                var result: Int
                repeat { result = read(descriptor, buffer.baseAddress, chunk) } while result < 0 && errno == EINTR
                if result < 0 { failed = errno }
                count = max(result, 0)
            }
            if let failed { throw failure(failed) }
            if piece.isEmpty { break }
            bytes += piece
        }
        return bytes.starts(with: byteOrderMark) ? Array(bytes.dropFirst(byteOrderMark.count)) : bytes
    }

    private static func notAFile(_ path: String, _ kind: String, remedy: String? = nil) -> Diagnostic {
        Diagnostic(.specification, "\(path.quoted()) is \(kind), not a file", remedy: remedy)
    }
}

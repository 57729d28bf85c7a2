import Diagnostics
import Glibc

/// A lab or script file named by a user.
public enum TextFile {
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// The bytes of a regular file, without a UTF-8 byte order mark. Throws at once for anything else: a pipe would wait for its
    /// writer, a device may be endless. A file larger than `limit` is not read.
    public static func bytes(_ path: String, limit: Int) throws(Diagnostic) -> [UInt8] {
        let file = try reading(path) { () throws(SystemCallError) in
            guard !path.utf8.contains(0) else { throw SystemCallError("open", errno: ENOENT) }
            return try OwnedDescriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        }
        let facts = try reading(path) { () throws(SystemCallError) in try file.status() }
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
        // A file of /proc holds more than its size, and a growing file has no end.
        let bytes = try reading(path) { () throws(SystemCallError) in try file.readAll(limit: limit + 1) }
        return withoutByteOrderMark(bytes)
    }

    /// The bytes of a text file without its byte order mark.
    public static func withoutByteOrderMark(_ bytes: [UInt8]) -> [UInt8] {
        bytes.starts(with: byteOrderMark) ? Array(bytes.dropFirst(byteOrderMark.count)) : bytes
    }

    private static func reading<Result: ~Copyable>(
        _ path: String, _ body: () throws(SystemCallError) -> Result
    ) throws(Diagnostic) -> Result {
        do throws(SystemCallError) {
            return try body()
        } catch {
            // A socket cannot be opened.
            if error.errno == ENXIO { throw notAFile(path, "a socket") }
            throw Diagnostic(
                .specification, "\(path.quoted()) cannot be read",
                remedy: error.errno == ENOENT ? "check the path" : nil, cause: error.reason)
        }
    }

    private static func notAFile(_ path: String, _ kind: String, remedy: String? = nil) -> Diagnostic {
        Diagnostic(.specification, "\(path.quoted()) is \(kind), not a file", remedy: remedy)
    }
}

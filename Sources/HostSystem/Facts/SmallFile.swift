import Glibc

/// Reads and writes of small files: `/proc`, cgroups, journals.
public enum SmallFile {
    /// The bytes of a file, at most `limit` of them. Throws when it cannot be opened or read.
    public static func bytes(_ path: String, limit: Int = 16 << 20) throws(SystemCallError) -> [UInt8] {
        let descriptor = try OwnedDescriptor.open(path, O_RDONLY)
        let number = descriptor.number
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while result.count < limit {
            let wanted = min(chunk.count, limit - result.count)
            let count = try systemCall("read", path) { read(number, &chunk, wanted) }
            if count == 0 { break }
            result += chunk[..<count]
        }
        return result
    }

    /// Writes a file that is there already in one call, as files of `/proc` and control groups want it.
    public static func write(_ bytes: [UInt8], to path: String) throws(SystemCallError) {
        let descriptor = try OwnedDescriptor.open(path, O_WRONLY)
        let number = descriptor.number
        let written = try systemCall("write", path) { Glibc.write(number, bytes, bytes.count) }
        guard written == bytes.count else { throw SystemCallError("write", errno: EIO, path) }
    }

    /// The text of a file, or nil when it cannot be read; what is not UTF-8 becomes replacement characters.
    public static func text(_ path: String) -> String? {
        guard let bytes = try? bytes(path) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}

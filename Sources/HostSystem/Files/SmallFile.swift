import Glibc

/// Reads and writes of whole files that fit memory: `/proc`, cgroups, journals, manifests.
public enum SmallFile {
    /// The bytes of a file, at most `limit` of them. Throws when it cannot be opened or read.
    public static func bytes(_ path: String, limit: Int = 16 << 20) throws(SystemCallError) -> [UInt8] {
        try OwnedDescriptor.open(path, O_RDONLY).readAll(limit: limit, path)
    }

    /// The text of a file, or nil when it cannot be read; what is not UTF-8 becomes replacement characters.
    public static func text(_ path: String) -> String? {
        guard let bytes = try? bytes(path) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes to an existing file in one call, as `/proc` and control groups require.
    public static func write(_ bytes: [UInt8], to path: String) throws(SystemCallError) {
        let descriptor = try OwnedDescriptor.open(path, O_WRONLY)
        let number = descriptor.number
        let written = try systemCall("write", path) { Glibc.write(number, bytes, bytes.count) }
        guard written == bytes.count else { throw SystemCallError("write", errno: EIO, path) }
    }

    /// Creates a file or atomically replaces the existing one: a reader sees the old or the new contents. A failed write leaves
    /// nothing behind.
    public static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o666) throws(SystemCallError) {
        try FileTree.replace(path) { (draft) throws(SystemCallError) in
            var file = try OwnedDescriptor.open(draft, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
            try writeAll(file.number, bytes[...], at: nil, path)
            try file.finish(path)
        }
    }
}

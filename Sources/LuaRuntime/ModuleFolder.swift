import Diagnostics
import Glibc

/// The folder whose files `require` finds.
struct ModuleFolder: Sendable {
    /// As it was given, for messages.
    let path: String

    init(_ path: String) { self.path = path.isEmpty ? "." : path }

    /// Bytes of a module at most.
    private static let maximumSize = 16 << 20

    /// The path and the bytes of the module `name`, whose dots part folders.
    static func source(
        of name: String, in folder: ModuleFolder?
    ) throws(LuaCallError) -> (path: String, source: [UInt8]) {
        let isName = name.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard isName, name.utf8.count <= 200, parts.allSatisfy({ !$0.isEmpty }) else {
            throw LuaCallError(
                "module \(name.quoted()) not found: a name is of letters, digits, '_' and '-', with '.' between folders"
            )
        }
        guard let folder else { throw LuaCallError("module '\(name)' not found") }
        let path = (folder.path == "." ? "" : folder.path + "/") + parts.joined(separator: "/") + ".lua"
        return (path, try folder.read(path, name))
    }

    private func read(_ path: String, _ name: String) throws(LuaCallError) -> [UInt8] {
        guard let real = Self.realPath(path), let root = Self.realPath(self.path) else {
            throw LuaCallError("module '\(name)' not found: there is no file \(path.quoted())")
        }
        guard real.hasPrefix(root == "/" ? root : root + "/") else {
            throw LuaCallError("module '\(name)' not found: \(path.quoted()) leads out of the script's folder")
        }
        // Not blocking: a FIFO would wait for its writer.
        let descriptor = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else {
            throw LuaCallError("module '\(name)' cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw LuaCallError("module '\(name)' not found: \(path.quoted()) is no file")
        }
        guard status.st_size <= Self.maximumSize else {
            throw LuaCallError("module '\(name)' is larger than \(Self.maximumSize >> 20) MiB")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw LuaCallError("module '\(name)' cannot be read: \(String(cString: strerror(errno)))")
            }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(bytes.count - filled)
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        return bytes.starts(with: byteOrderMark) ? Array(bytes.dropFirst(byteOrderMark.count)) : bytes
    }

    private static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}

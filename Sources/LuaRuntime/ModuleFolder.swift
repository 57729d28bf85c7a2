import Diagnostics
import Glibc
import HostSystem

/// The folder whose files `require` finds.
struct ModuleFolder: Sendable {
    /// As given, for messages.
    let path: String

    init(_ path: String) { self.path = path.isEmpty ? "." : path }

    /// The size limit of a module, in bytes.
    private static let maximumSize = 16 << 20

    /// The path and the bytes of the module `name`, whose dots separate folders.
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
                "module \(name.quoted()) not found: names have letters, digits, '_' and '-', with '.' between folders"
            )
        }
        guard let folder else { throw LuaCallError("module '\(name)' not found") }
        let path = (folder.path == "." ? "" : folder.path + "/") + parts.joined(separator: "/") + ".lua"
        return (path, try folder.read(path, name))
    }

    private func read(_ path: String, _ name: String) throws(LuaCallError) -> [UInt8] {
        guard let real = FilePath.real(path), let root = FilePath.real(self.path) else {
            throw LuaCallError("module '\(name)' not found: there is no file \(path.quoted())")
        }
        guard real.hasPrefix(root == "/" ? root : root + "/") else {
            throw LuaCallError("module '\(name)' not found: \(path.quoted()) is outside of the script's folder")
        }
        let file: OwnedDescriptor
        do throws(SystemCallError) {
            // Not blocking: a FIFO would wait for its writer.
            file = try OwnedDescriptor.open(real, O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
        } catch {
            throw LuaCallError("module '\(name)' cannot be read: \(error.reason)")
        }
        guard let status = try? file.status(), status.st_mode & S_IFMT == S_IFREG else {
            throw LuaCallError("module '\(name)' not found: \(path.quoted()) is no file")
        }
        guard status.st_size <= Self.maximumSize else {
            throw LuaCallError("module '\(name)' is larger than \(Self.maximumSize >> 20) MiB")
        }
        do throws(SystemCallError) {
            return TextFile.withoutByteOrderMark(try file.readAll(limit: Self.maximumSize))
        } catch {
            throw LuaCallError("module '\(name)' cannot be read: \(error.reason)")
        }
    }
}

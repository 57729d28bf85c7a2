import Glibc
import HostSystem

/// Trees of files that are hard to copy.
public enum FileFixtures {
    /// Names that shells, archives and terminals stumble over.
    public static let hardNames = [
        "plain", "with space", "it's", "a|b", "a&b", "back\\slash", "näme-☃", "\"double\"", "-dash", "$HOME", "a;b",
        "*",
        "tail ", "~", "#x#", "new\nline", "1\\1",
    ]

    /// This process's umask.
    public static let mask: mode_t = {
        let line = SmallFile.text("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("Umask:") }
        return line?.split(separator: "\t").last.flatMap { mode_t($0, radix: 8) } ?? 0o022
    }()

    /// Everything below a folder: kind, mode, and content or target. With `collected` as it is to be once it came from a
    /// guest: with plain modes, and the link that leaves the tree as text.
    public static func listing(_ path: String, at place: String = ".", collected: Bool = false) throws -> [String] {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw SystemCallError("lstat", path) }
        let plain: mode_t = (status.st_mode & 0o100 != 0 ? 0o777 : 0o666) & ~mask
        let mode = String(collected ? plain : status.st_mode & 0o7777, radix: 8)
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            return try ["\(place) folder \(mode)"]
                + FileTree.names(in: path).flatMap {
                    try listing(path + "/" + $0, at: place + "/" + $0, collected: collected)
                }
        case S_IFLNK:
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink(path, &buffer, buffer.count)
            let target = buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
            if collected, target.first == UInt8(ascii: "/") {
                let text = "symbolic link to `\(String(decoding: target, as: UTF8.self))`\n"
                return ["\(place) file \(String(0o666 & ~mask, radix: 8)) \(text.utf8.count) \(text)"]
            }
            return ["\(place) link \(String(decoding: target, as: UTF8.self))"]
        default:
            return ["\(place) file \(mode) \(try SmallFile.bytes(path).count) \(SmallFile.text(path) ?? "")"]
        }
    }

    /// A tree with all that is hard to copy.
    public static func makeTree(_ root: String) throws {
        try FileTree.makeFolder(root + "/empty", mode: 0o700)
        try FileTree.makeFolder(root + "/sub/deep")
        for (index, name) in hardNames.enumerated() {
            try write("\(name): \(index)\n", to: root + "/sub/" + name, mode: index % 2 == 0 ? 0o644 : 0o755)
        }
        try write([0, 255, 10, 13, 3, 0], to: root + "/sub/deep/binary", mode: 0o600)
        symlink("../sub/plain", root + "/sub/link")
        symlink("/nowhere/at all", root + "/broken")
        chmod(root + "/sub/deep", 0o750)
        chmod(root, 0o755)
    }
}

import Glibc

/// Creates, replaces and removes files and folders by path.
public enum FileTree {
    /// Creates a folder and missing parents, each with `mode`. No error when it exists.
    public static func makeFolder(_ path: String, mode: mode_t = 0o755) throws(SystemCallError) {
        if mkdir(path, mode) == 0 { return }
        switch errno {
        case EEXIST:
            var status = stat()
            guard stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR else {
                throw SystemCallError("mkdir", errno: ENOTDIR, path)
            }
        case ENOENT:
            guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { fallthrough }
            try makeFolder(String(path[..<slash]), mode: mode)
            if mkdir(path, mode) != 0 && errno != EEXIST { throw SystemCallError("mkdir", path) }
        default: throw SystemCallError("mkdir", path)
        }
    }

    /// Whether a path exists, even as a broken link.
    public static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Moves a file or folder over another path, atomically.
    public static func move(_ path: String, to place: String) throws(SystemCallError) {
        try systemCall("rename", place) { rename(path, place) }
    }

    /// Creates a file or link, or atomically replaces one, by `make` at a temporary path, of which nothing stays when it throws.
    public static func replace(
        _ path: String, by make: (_ draft: String) throws(SystemCallError) -> Void
    ) throws(SystemCallError) {
        let draft = "\(path).\(getpid()).tmp"
        do throws(SystemCallError) {
            try make(draft)
            try move(draft, to: path)
        } catch {
            unlink(draft)
            throw error
        }
    }

    /// Removes a file, socket, link or folder tree without following links. No error when it does not exist or another process
    /// removes it meanwhile. Throws what stopped it; what could be removed is gone then.
    public static func remove(_ path: String) throws(SystemCallError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return }
            throw SystemCallError("lstat", path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            if unlink(path) != 0 && errno != ENOENT { throw SystemCallError("unlink", path) }
            return
        }
        do throws(SystemCallError) {
            // Names may be any bytes: guests need not use UTF-8.
            try HostFolder(path).removeContents()
            try systemCall("rmdir", path) { rmdir(path) }
        } catch {
            if error.errno != ENOENT { throw error }
        }
    }

    /// The names in a folder, sorted, without `.` and `..`.
    public static func names(in path: String) throws(SystemCallError) -> [String] {
        try HostFolder(path).names().map { String(decoding: $0, as: UTF8.self) }.sorted()
    }

    /// Creates a sparse file of `size` bytes. Throws `EEXIST` when it exists.
    public static func makeSparseFile(_ path: String, size: UInt64) throws(SystemCallError) {
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL)
        do throws(SystemCallError) {
            try file.resize(to: size, path)
        } catch {
            unlink(path)
            throw error
        }
    }

    /// The disk space of a file or a folder tree in bytes, without following links. Inaccessible entries count as 0.
    public static func space(of path: String) -> UInt64 {
        var status = stat()
        guard lstat(path, &status) == 0 else { return 0 }
        let own = UInt64(status.st_blocks) * 512
        guard status.st_mode & S_IFMT == S_IFDIR else { return own }
        return ((try? names(in: path)) ?? []).reduce(own) { $0 + space(of: path + "/" + $1) }
    }

    /// The disk space of an open file in bytes.
    public static func space(of descriptor: Int32) -> UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_blocks) * 512 : 0
    }
}

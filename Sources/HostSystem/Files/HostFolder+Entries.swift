import CLinux
import Glibc

extension HostFolder {
    /// The `stat` of a path without following a link; nil when it does not exist.
    public func status(_ path: RelativePath) throws(SystemCallError) -> stat? {
        var status = stat()
        do throws(SystemCallError) {
            try atParent(of: path, "stat") { fstatat($0, $1, &status, AT_SYMLINK_NOFOLLOW) }
        } catch {
            if error.errno == ENOENT { return nil }
            throw error
        }
        return status
    }

    /// The `stat` of the folder itself.
    public func status() throws(SystemCallError) -> stat { try descriptor.status(path) }

    /// The target of a symbolic link.
    public func linkTarget(_ path: RelativePath) throws(SystemCallError) -> [UInt8] {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        var count = 0
        try atParent(of: path, "readlink") { folder, name in
            count = readlinkat(folder, name, &bytes, bytes.count)
            return count < 0 ? -1 : 0
        }
        return bytes.prefix(count).map { UInt8(bitPattern: $0) }
    }

    /// The names in the folder, unordered, without `.` and `..`.
    public func names() throws(SystemCallError) -> [[UInt8]] {
        // A separate descriptor: reading moves it, and closedir closes it.
        let number = try open(.here, O_RDONLY | O_DIRECTORY).release()
        guard let stream = fdopendir(number) else {
            let error = SystemCallError("opendir", path)
            _ = close(number)
            throw error
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
        }
        return names
    }

    /// Creates a symbolic link to `target`.
    public func makeLink(_ path: RelativePath, to target: [UInt8]) throws(SystemCallError) {
        try atParent(of: path, "symlink") { folder, name in withCString(target) { symlinkat($0, folder, name) } }
    }

    /// Creates a hard link to the file at `existing`.
    public func makeHardLink(_ path: RelativePath, to existing: RelativePath) throws(SystemCallError) {
        let source = try parent(of: existing)
        try atParent(of: path, "link") { target, name in
            withCString(Self.name(existing)) { linkat(source.number, $0, target, name, 0) }
        }
    }

    /// Moves a path to another folder of the same file system. False, without changes, when it exists and `replacing` is false.
    @discardableResult
    public func move(
        _ path: RelativePath, to folder: HostFolder, _ target: RelativePath, replacing: Bool
    ) throws(SystemCallError) -> Bool {
        let source = try parent(of: path)
        do throws(SystemCallError) {
            try folder.atParent(of: target, "rename") { new, name in
                withCString(Self.name(path)) { vmlab_rename(source.number, $0, new, name, replacing) }
            }
            return true
        } catch {
            if error.errno == EEXIST, !replacing { return false }
            throw error
        }
    }

    /// Removes a file, socket, link or folder tree without following links. No error when it does not exist or another process
    /// removes it meanwhile. Throws what stopped it; what could be removed is gone then.
    public func remove(_ path: RelativePath) throws(SystemCallError) {
        guard let status = try status(path) else { return }
        let isFolder = status.st_mode & S_IFMT == S_IFDIR
        do throws(SystemCallError) {
            if isFolder { try folder(path).removeContents() }
            try atParent(of: path, "unlink") { unlinkat($0, $1, isFolder ? AT_REMOVEDIR : 0) }
        } catch {
            if error.errno != ENOENT { throw error }
        }
    }

    func removeContents() throws(SystemCallError) {
        var failure: SystemCallError?
        for name in try names() {
            do throws(SystemCallError) { try remove(RelativePath(names: [name])) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    private func atParent(
        of path: RelativePath, _ call: String, _ body: (Int32, UnsafePointer<CChar>) -> Int32
    ) throws(SystemCallError) {
        let folder = try parent(of: path)
        try systemCall(call, subject(path)) { withCString(Self.name(path)) { body(folder.number, $0) } }
    }

    private func parent(of path: RelativePath) throws(SystemCallError) -> OwnedDescriptor {
        try open(path.parent, __O_PATH | O_DIRECTORY)
    }

    private static func name(_ path: RelativePath) -> [UInt8] { path.name ?? [UInt8(ascii: ".")] }
}

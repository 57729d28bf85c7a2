import Glibc

/// Access to the files of control groups; tests supply their own hierarchy.
public protocol ControlGroupFiles: Sendable {
    /// A file's text; nil when it cannot be read.
    func text(_ path: String) -> String?
    /// Writes to a file in one call.
    func write(_ text: String, to path: String) throws(SystemCallError)
    /// Creates a group. No error when it exists.
    func makeGroup(_ path: String) throws(SystemCallError)
    /// Removes a group without processes and child groups.
    func removeGroup(_ path: String) throws(SystemCallError)
    /// Whether this process may create groups there.
    func mayMakeGroups(in path: String) -> Bool
}

/// The kernel's own.
public struct KernelControlGroupFiles: ControlGroupFiles {
    /// The kernel's own.
    public init() {}

    /// Reads it.
    public func text(_ path: String) -> String? { SmallFile.text(path) }

    /// Writes it.
    public func write(_ text: String, to path: String) throws(SystemCallError) {
        try SmallFile.write(Array(text.utf8), to: path)
    }

    /// Makes its folder.
    public func makeGroup(_ path: String) throws(SystemCallError) {
        if mkdir(path, 0o755) != 0, errno != EEXIST { throw SystemCallError("mkdir", path) }
    }

    /// Removes its folder; the kernel's files in it need no removal.
    public func removeGroup(_ path: String) throws(SystemCallError) {
        if rmdir(path) != 0, errno != ENOENT { throw SystemCallError("rmdir", path) }
    }

    /// Whether the folder, its `cgroup.procs` and its `cgroup.subtree_control` are writable.
    public func mayMakeGroups(in path: String) -> Bool {
        access(path, W_OK) == 0 && access("\(path)/cgroup.procs", W_OK) == 0
            && access("\(path)/cgroup.subtree_control", W_OK) == 0
    }
}

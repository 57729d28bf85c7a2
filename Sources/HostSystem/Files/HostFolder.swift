import CLinux
import Glibc

/// A folder held by its descriptor. All operations stay below it: no path component follows a symbolic link, and a link in the way
/// fails with `ELOOP` or `ENOTDIR`.
public final class HostFolder: Sendable {
    /// The path it was opened with, for messages.
    public let path: String
    let descriptor: OwnedDescriptor

    private init(_ path: String, owning descriptor: consuming OwnedDescriptor) {
        self.path = path
        self.descriptor = descriptor
    }

    /// Opens the folder at a trusted path: links in it are followed.
    public convenience init(_ path: String) throws(SystemCallError) {
        self.init(path, owning: try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY))
    }

    /// Opens a folder below this one.
    public func folder(_ path: RelativePath) throws(SystemCallError) -> HostFolder {
        HostFolder(subject(path), owning: try open(path, O_RDONLY | O_DIRECTORY))
    }

    /// Opens a folder below this one, creating it and missing parents with `mode`.
    public func makeFolder(_ path: RelativePath, mode: mode_t = 0o777) throws(SystemCallError) -> HostFolder {
        var folder = self
        for name in path.names {
            let step = RelativePath(names: [name])
            if withCString(name, { mkdirat(folder.descriptor.number, $0, mode) }) != 0, errno != EEXIST {
                throw SystemCallError("mkdir", folder.subject(step))
            }
            folder = try folder.folder(step)
        }
        return folder
    }

    /// Opens a path below the folder, close-on-exec. `mode` is used only with `O_CREAT`.
    public func open(
        _ path: RelativePath, _ flags: Int32, mode: mode_t = 0o666
    ) throws(SystemCallError) -> OwnedDescriptor {
        guard Self.kernelConfines else { return try walk(path, flags, mode: mode) }
        let number = descriptor.number
        return OwnedDescriptor(
            owning: try systemCall("open", subject(path)) {
                withCString(path.bytes) { vmlab_open_beneath(number, $0, flags, mode) }
            })
    }

    /// Whether openat2(2) is available: since Linux 5.6, but some containers' filters reject it.
    private static let kernelConfines: Bool = {
        let number = vmlab_open_beneath(AT_FDCWD, ".", __O_PATH, 0)
        if number >= 0 { _ = close(number) }
        return number >= 0
    }()

    /// `open` for kernels without openat2(2), component by component.
    func walk(_ path: RelativePath, _ flags: Int32, mode: mode_t) throws(SystemCallError) -> OwnedDescriptor {
        let subject = subject(path)
        var folder = OwnedDescriptor(owning: -1)
        for name in path.parent.names {
            let above = folder.isOpen ? folder.number : descriptor.number
            let steps = __O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            folder = OwnedDescriptor(
                owning: try systemCall("open", subject) { withCString(name) { openat(above, $0, steps) } })
        }
        let above = folder.isOpen ? folder.number : descriptor.number
        let last = path.name ?? [UInt8(ascii: ".")]
        return OwnedDescriptor(
            owning: try systemCall("open", subject) {
                withCString(last) { openat(above, $0, flags | O_NOFOLLOW | O_CLOEXEC, mode) }
            })
    }

    /// A path below the folder as messages name it.
    public func subject(_ path: RelativePath) -> String {
        path.names.isEmpty ? self.path : "\(self.path == "/" ? "" : self.path)/\(path)"
    }
}

/// Calls `body` with bytes without a NUL as a C string.
func withCString<Result>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return withUnsafePointer(to: 0, body) }
        return body(start)
    }
}

import CLinux
import Glibc

/// A folder held by its descriptor. What is opened, made, renamed or removed by way of it lies beneath it, whatever links lie
/// on the way: no step follows a symbolic link, and where one stands in the way the call fails with `ELOOP` or `ENOTDIR`.
public final class HostFolder: Sendable {
    /// The path that it was opened by, for messages.
    public let path: String
    let descriptor: OwnedDescriptor

    private init(_ path: String, owning descriptor: consuming OwnedDescriptor) {
        self.path = path
        self.descriptor = descriptor
    }

    /// Holds the folder at a path that the caller vouches for: links in it are followed.
    public convenience init(_ path: String) throws(SystemCallError) {
        self.init(path, owning: try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY))
    }

    /// Holds a folder beneath this one.
    public func folder(_ path: RelativePath) throws(SystemCallError) -> HostFolder {
        HostFolder(subject(path), owning: try open(path, O_RDONLY | O_DIRECTORY))
    }

    /// Holds a folder beneath this one, which is made with those above it where it is missing, each with `mode`.
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

    /// Opens what lies at a path, close-on-exec. `mode` counts only with `O_CREAT`.
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

    /// Whether openat2(2) is there: Linux has it since 5.6, but some containers' filters refuse it.
    private static let kernelConfines: Bool = {
        let number = vmlab_open_beneath(AT_FDCWD, ".", __O_PATH, 0)
        if number >= 0 { _ = close(number) }
        return number >= 0
    }()

    /// What `open` does on kernels without openat2(2): one step after the other.
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

    /// How a path beneath the folder is named in messages.
    public func subject(_ path: RelativePath) -> String {
        path.names.isEmpty ? self.path : "\(self.path == "/" ? "" : self.path)/\(path)"
    }
}

/// Hands bytes without a NUL to the C library.
func withCString<Result>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return withUnsafePointer(to: 0, body) }
        return body(start)
    }
}

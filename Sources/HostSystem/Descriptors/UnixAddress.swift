import Glibc

/// The address of a Unix socket. The kernel's limit is 107 bytes; longer paths go through an open directory.
struct UnixAddress: ~Copyable {
    private var address = sockaddr_un()
    /// Keeps the directory open while `/proc/self/fd/N/name` stands for a long path.
    private var directory = OwnedDescriptor(owning: -1)

    static let longest = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    /// Throws when the folder cannot be opened or the socket's own name is too long.
    init(_ path: String) throws(SystemCallError) {
        var text = path
        if path.utf8.count > Self.longest {
            let slash = path.lastIndex(of: "/")
            let folder = slash.map { path[..<$0] } ?? "."
            let name = slash.map { path[path.index(after: $0)...] } ?? path[...]
            directory = try OwnedDescriptor.open(folder.isEmpty ? "/" : String(folder), O_RDONLY | O_DIRECTORY)
            text = "/proc/self/fd/\(directory.number)/\(name)"
        }
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.longest else { throw SystemCallError("bind", errno: ENAMETOOLONG, path) }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    }

    borrowing func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

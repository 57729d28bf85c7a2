import CLinux
import Glibc

/// A file descriptor with one owner, which closes it exactly once.
public struct OwnedDescriptor: ~Copyable, Sendable {
    /// The number, or -1 once closed. Valid only while this owner lives.
    public private(set) var number: Int32

    /// Takes ownership of a descriptor.
    public init(owning number: Int32) {
        self.number = number
    }

    deinit {
        if number >= 0 { _ = Glibc.close(number) }
    }

    /// Whether it has not been closed yet.
    public var isOpen: Bool { number >= 0 }

    /// Closes it now. Safe to repeat. The result of `close` is ignored: Linux closes the descriptor in any case.
    public mutating func close() {
        guard number >= 0 else { return }
        _ = Glibc.close(number)
        number = -1
    }

    /// Closes it now, and throws its error: a network file system reports a lost write only here. Safe to repeat.
    public mutating func finish(_ subject: String? = nil) throws(SystemCallError) {
        guard number >= 0 else { return }
        let result = Glibc.close(number)
        number = -1
        guard result == 0 || errno == EINTR else { throw SystemCallError("close", subject) }
    }

    /// Transfers ownership of the descriptor to the caller.
    public consuming func release() -> Int32 {
        let released = number
        number = -1
        return released
    }

    /// Opens a file, close-on-exec. `mode` is used only with `O_CREAT`.
    public static func open(
        _ path: String, _ flags: Int32, mode: mode_t = 0o600
    ) throws(SystemCallError) -> OwnedDescriptor {
        OwnedDescriptor(owning: try systemCall("open", path) { Glibc.open(path, flags | O_CLOEXEC, mode) })
    }

    /// Sets `O_NONBLOCK`.
    public borrowing func setNonBlocking() throws(SystemCallError) {
        let number = number
        let flags = try systemCall("fcntl") { fcntl(number, F_GETFL) }
        try systemCall("fcntl") { fcntl(number, F_SETFL, flags | O_NONBLOCK) }
    }
}

/// The two ends of a pipe or of a socket pair.
@frozen
public struct DescriptorPair: ~Copyable, Sendable {
    /// One end; the read end of a pipe.
    public var first: OwnedDescriptor
    /// The other end; the write end of a pipe.
    public var second: OwnedDescriptor

    private init(_ call: String, _ make: (UnsafeMutablePointer<Int32>) -> Int32) throws(SystemCallError) {
        var ends: [Int32] = [-1, -1]
        try systemCall(call) { make(&ends) }
        first = OwnedDescriptor(owning: ends[0])
        second = OwnedDescriptor(owning: ends[1])
    }

    /// A pipe, close-on-exec.
    public static func pipe() throws(SystemCallError) -> DescriptorPair {
        try DescriptorPair("pipe2") { vmlab_pipe($0) }
    }

    /// A pair of connected Unix sockets, close-on-exec.
    public static func socketPair() throws(SystemCallError) -> DescriptorPair {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        return try DescriptorPair("socketpair") { socketpair(AF_UNIX, kind, 0, $0) }
    }
}

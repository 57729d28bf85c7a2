import Glibc
import HostSystem

/// A socket, pipe, terminal or file of the host that is read and written without ever waiting.
struct HostStream: ~Copyable {
    /// What came of reading or writing.
    enum Outcome {
        /// So many bytes, at least one.
        case moved(Int)
        /// Nothing now: wait until the descriptor is ready.
        case blocked
        /// Nothing any more: the end of the stream, or the other side is gone.
        case ended
    }

    private let descriptor: OwnedDescriptor
    private let isSocket: Bool

    /// The descriptor to watch.
    var number: Int32 { descriptor.number }

    /// A stream of its own on what `number` stands for, which stays the caller's; `access` is `O_RDONLY` or `O_WRONLY`.
    ///
    /// A terminal or pipe is opened anew: setting `O_NONBLOCK` on it would set it for every process that shares it, the
    /// user's shell too. Sockets are told with each call instead, and files never wait.
    init(on number: Int32, access: Int32) throws(SystemCallError) {
        var status = stat()
        try systemCall("fstat") { fstat(number, &status) }
        let kind = status.st_mode & S_IFMT
        var own: Int32 = -1
        if kind == S_IFCHR || kind == S_IFIFO {
            own = open("/proc/self/fd/\(number)", access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        }
        if own < 0 { own = try systemCall("fcntl") { fcntl(number, F_DUPFD_CLOEXEC, 3) } }
        descriptor = OwnedDescriptor(owning: own)
        isSocket = kind == S_IFSOCK
    }

    /// Reads into `buffer`, which must not be empty.
    borrowing func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        let number = number
        let count = Self.uninterrupted {
            isSocket
                ? recv(number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
                : Glibc.read(number, buffer.baseAddress, buffer.count)
        }
        return Self.outcome(count)
    }

    /// Writes some of `bytes`, which must not be empty. A peer that is gone is an outcome, not a signal, for a socket; for
    /// pipes the program ignores `SIGPIPE`.
    borrowing func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        let number = number
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        let count = Self.uninterrupted {
            isSocket
                ? Glibc.send(number, bytes.baseAddress, bytes.count, flags)
                : Glibc.write(number, bytes.baseAddress, bytes.count)
        }
        return Self.outcome(count)
    }

    private static func uninterrupted(_ call: () -> Int) -> Int {
        while true {
            let count = call()
            if count >= 0 || errno != EINTR { return count }
        }
    }

    private static func outcome(_ count: Int) -> Outcome {
        if count > 0 { return .moved(count) }
        return count < 0 && errno == EAGAIN ? .blocked : .ended
    }
}

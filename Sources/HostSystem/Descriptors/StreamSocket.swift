import CLinux
import Glibc
import Synchronization

/// A connected Unix socket, read and written without blocking a thread.
public final class StreamSocket: Sendable {
    /// The most that one `read` returns, in bytes.
    public static let readLimit = 64 * 1024

    // Locked, so that after a `close` on another thread no read or write uses a reused number.
    private let descriptor: Mutex<OwnedDescriptor>
    private let readiness: Readiness
    /// Whether the reader is still processing the last bytes.
    private let isDelivering = Atomic(false)

    /// Takes over a connected stream socket. Throws when the event loop cannot watch it.
    public init(owning descriptor: consuming OwnedDescriptor) throws(SystemCallError) {
        try descriptor.setNonBlocking()
        readiness = try Readiness(of: descriptor.number)
        self.descriptor = Mutex(descriptor)
    }

    deinit { close() }

    /// Connects to the socket at `path`, of any length: a listening or a datagram socket. Unix sockets connect or fail at once;
    /// throws the kernel's error, such as `ECONNREFUSED`.
    public static func connect(
        to path: String, kind: __socket_type = SOCK_STREAM
    ) throws(SystemCallError) -> StreamSocket {
        let address = try UnixAddress(path)
        let descriptor = try makeSocket(kind)
        try systemCall("connect", path) { address.with { Glibc.connect(descriptor.number, $0, $1) } }
        return try StreamSocket(owning: descriptor)
    }

    /// The next bytes, at least one and at most `readLimit`; empty at the end of the stream and after `close`. Throws the kernel's
    /// error, and `CancellationError`. One reader at a time.
    public func read() async throws -> [UInt8] {
        isDelivering.store(false, ordering: .releasing)
        while true {
            try Task.checkCancellation()
            if let bytes = try readNow() { return bytes }
            try await readiness.readable()
        }
    }

    /// Whether all bytes received so far were read, and the reader waits again.
    public var isDrained: Bool {
        descriptor.withLock { descriptor in
            guard descriptor.isOpen else { return true }
            var byte: UInt8 = 0
            let unread = recv(descriptor.number, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
            return unread <= 0 && !isDelivering.load(ordering: .acquiring)
        }
    }

    /// The bytes available now; nil when there are none, empty at the end.
    private func readNow() throws(SystemCallError) -> [UInt8]? {
        try descriptor.withLock { (descriptor) throws(SystemCallError) in
            guard descriptor.isOpen else { return [] }
            do throws(SystemCallError) {
                let bytes = try descriptor.read(upTo: Self.readLimit)
                isDelivering.store(!bytes.isEmpty, ordering: .releasing)
                // A little text must not keep 64 KiB alive.
                return bytes.count < Self.readLimit / 2 ? Array(bytes[...]) : bytes
            } catch {
                switch error.errno {
                case EAGAIN: return nil
                // The peer closed with unread bytes of ours: end of stream for a reader.
                case ECONNRESET: return []
                default: throw error
                }
            }
        }
    }

    /// Writes all of `bytes`, waiting while the peer is slow. Throws `EPIPE` when the peer or this socket is closed, and
    /// `CancellationError`; part may have been written.
    public func write(_ bytes: [UInt8]) async throws {
        var start = 0
        while start < bytes.count {
            try Task.checkCancellation()
            let rest = bytes[start...]
            let sent = try writeNow("send") { number in
                rest.withUnsafeBytes { send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            }
            if let sent { start += sent } else { try await readiness.writable() }
        }
    }

    /// Writes one byte with a copy of a descriptor (`SCM_RIGHTS`), which must stay open until this returns. Waits and throws as
    /// `write`.
    public func write(_ byte: UInt8, passing passed: Int32) async throws {
        while try writeNow("sendmsg", { Int(vmlab_send_descriptor($0, CChar(bitPattern: byte), passed)) }) == nil {
            try Task.checkCancellation()
            try await readiness.writable()
        }
    }

    /// Writes by `body`, which gets the descriptor; nil when it would block.
    private func writeNow(_ call: String, _ body: (Int32) -> Int) throws(SystemCallError) -> Int? {
        try descriptor.withLock { (descriptor) throws(SystemCallError) in
            guard descriptor.isOpen else { throw SystemCallError(call, errno: EPIPE) }
            let number = descriptor.number
            do throws(SystemCallError) {
                return try systemCall(call) { body(number) }
            } catch {
                if error.errno == EAGAIN { return nil }
                throw error
            }
        }
    }

    /// Ends both directions; a waiting `read` returns empty. Safe to repeat.
    public func close() {
        readiness.end()
        descriptor.withLock { $0.close() }
    }

    static func makeSocket(_ kind: __socket_type) throws(SystemCallError) -> OwnedDescriptor {
        let flags = Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        return OwnedDescriptor(owning: try systemCall("socket") { socket(AF_UNIX, flags, 0) })
    }
}

/// Unix sockets that listen at a path.
public enum ListeningSocket {
    /// A listening descriptor at `path`, which must not exist. Throws `EADDRINUSE` when it does.
    public static func bind(path: String, backlog: Int32 = 8) throws(SystemCallError) -> OwnedDescriptor {
        let address = try UnixAddress(path)
        let descriptor = try StreamSocket.makeSocket(SOCK_STREAM)
        try systemCall("bind", path) { address.with { Glibc.bind(descriptor.number, $0, $1) } }
        try systemCall("listen", path) { listen(descriptor.number, backlog) }
        return descriptor
    }

    /// Whether a socket of that kind without a process is at `path`.
    public static func isAbandoned(_ path: String, _ kind: __socket_type = SOCK_STREAM) -> Bool {
        guard let address = try? UnixAddress(path), let probe = try? StreamSocket.makeSocket(kind) else {
            return false
        }
        return address.with { Glibc.connect(probe.number, $0, $1) } != 0 && errno == ECONNREFUSED
    }
}

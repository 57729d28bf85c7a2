import Glibc
import Synchronization

/// A non-blocking Unix datagram socket bound to its own path that sends to one other path. Each datagram is an Ethernet frame.
public final class DatagramSocket: Sendable {
    /// The outcome of a send.
    public enum Sent: Sendable, Hashable {
        /// Queued at the peer.
        case delivered
        /// The peer's queue is full: retry when `sendable()` is writable.
        case full
        /// There is no peer, or it rejects the datagram.
        case lost
    }

    /// The suffix of the sending socket's path. There are two sockets because a connected one receives only from its peer, while a
    /// switch sends from other sockets; and a confined process may send only through connected sockets.
    static let senderSuffix = ".out"

    /// The receiving socket, to be watched for `readable`. Valid as long as this object lives.
    public var number: Int32 { receiver.number }

    private let path: String
    private let receiver: OwnedDescriptor
    private let sender: OwnedDescriptor
    private let peerPath: String
    private let peer: UnixAddress
    private let connection: Atomic<Bool>

    /// Binds sockets at `path` and `path.out`, to send to `peer`. It need not exist yet, unless this process may no longer connect.
    /// Replaces sockets left there by a killed process.
    ///
    /// Throws the kernel's error: `EADDRINUSE` for a path in use, `ENAMETOOLONG` for a last path component of more than 103 bytes.
    public init(path: String, peer: String) throws(SystemCallError) {
        let peerAddress = try UnixAddress(peer)
        let receiver = try Self.bind(path)
        let sender: OwnedDescriptor
        do throws(SystemCallError) {
            sender = try Self.bind(path + Self.senderSuffix)
        } catch {
            unlink(path)
            throw error
        }
        connection = Atomic((try? Self.connect(sender.number, to: peerAddress, peer)) != nil)
        self.receiver = receiver
        self.sender = sender
        self.path = path
        peerPath = peer
        self.peer = peerAddress
    }

    deinit { close() }

    private static func bind(_ path: String) throws(SystemCallError) -> OwnedDescriptor {
        let address = try UnixAddress(path)
        if ListeningSocket.isAbandoned(path, SOCK_DGRAM) { unlink(path) }
        let socket = try StreamSocket.makeSocket(SOCK_DGRAM)
        try socket.setNonBlocking()
        let number = socket.number
        try systemCall("bind", path) { address.with { Glibc.bind(number, $0, $1) } }
        return socket
    }

    /// Removes both paths. Safe to repeat.
    public func close() {
        unlink(path)
        unlink(path + Self.senderSuffix)
    }

    /// Whether the last connection attempt found the peer.
    public var isConnected: Bool { connection.load(ordering: .acquiring) }

    /// Sends one datagram.
    public func send(_ bytes: UnsafeRawBufferPointer) -> Sent {
        guard (try? connect()) != nil else { return .lost }
        var failure = sendConnected(bytes)
        if [ECONNREFUSED, ENOTCONN].contains(failure) {
            // The peer is gone; another may have bound its path.
            connection.store(false, ordering: .releasing)
            guard (try? connect()) != nil else { return .lost }
            failure = sendConnected(bytes)
        }
        return failure == 0 ? .delivered : failure == EAGAIN ? .full : .lost
    }

    /// The errno, or 0.
    private func sendConnected(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        let count = Glibc.send(sender.number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        return count >= 0 ? 0 : errno
    }

    /// Receives the next datagram, truncated to the buffer; nil when there is none.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = recv(receiver.number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        return count >= 0 ? count : nil
    }

    /// A descriptor, other than `number`, that is writable when a `full` send may be retried. Throws when there is no peer.
    public func sendable() throws(SystemCallError) -> Int32 {
        try connect()
        return sender.number
    }

    private func connect() throws(SystemCallError) {
        // Concurrent calls connect to the same peer.
        if !isConnected { try Self.connect(sender.number, to: peer, peerPath) }
        connection.store(true, ordering: .releasing)
    }

    private static func connect(
        _ number: Int32, to peer: borrowing UnixAddress, _ path: String
    ) throws(SystemCallError) {
        try systemCall("connect", path) { peer.with { Glibc.connect(number, $0, $1) } }
    }
}

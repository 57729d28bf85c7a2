import Glibc
import Synchronization

/// A unix datagram socket at a path of its own that sends to one other path, without waiting: the end of a link on which
/// each datagram is an Ethernet frame.
public final class DatagramSocket: Sendable {
    /// What became of a datagram.
    public enum Sent: Sendable, Hashable {
        /// The other side's queue has it.
        case delivered
        /// The other side's queue is full: try again when `sendable()` is writable.
        case full
        /// Nobody is there, or it takes no such datagram.
        case lost
    }

    /// The socket, to be watched for `readable`. Valid as long as this object lives.
    public var number: Int32 { socket.number }

    private let path: String
    private let socket: OwnedDescriptor
    private let peerPath: String
    private let peer: UnixAddress
    /// The same socket once more: writable when what we sent has been received, which counts against our own buffer.
    private let ourRoom: OwnedDescriptor
    /// A socket that only tells when the other side's queue has room, as those that are connected do. The one we send with
    /// cannot be: it would hear its peer alone, and the switch speaks from other sockets.
    private let peerRoom: OwnedDescriptor
    private let isGaugeConnected: Mutex<Bool>

    /// Binds a socket at `path`, which must not exist, to send to `peer`, which need not exist yet; but who confines itself
    /// afterwards so that it may not connect any more waits for room only in a peer that was there.
    ///
    /// Throws what the kernel says, and `ENAMETOOLONG` for a name in the last folder that is longer than 107 bytes.
    public init(path: String, peer: String) throws(SystemCallError) {
        let address = try UnixAddress(path)
        let peerAddress = try UnixAddress(peer)
        let socket = try StreamSocket.makeSocket(SOCK_DGRAM)
        try socket.setNonBlocking()
        let number = socket.number
        ourRoom = OwnedDescriptor(owning: try systemCall("fcntl") { fcntl(number, F_DUPFD_CLOEXEC, 0) })
        let gauge = try StreamSocket.makeSocket(SOCK_DGRAM)
        isGaugeConnected = Mutex((try? Self.connect(gauge.number, to: peerAddress, peer)) != nil)
        // Last among what may throw: `deinit` removes the path, which must be ours then.
        try systemCall("bind", path) { address.with { bind(number, $0, $1) } }
        self.socket = socket
        self.path = path
        peerPath = peer
        self.peer = peerAddress
        peerRoom = gauge
    }

    deinit { unlink(path) }

    /// Sends one datagram.
    public func send(_ bytes: UnsafeRawBufferPointer) -> Sent {
        let sent = peer.with { address, length in
            sendto(socket.number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT), address, length)
        }
        if sent >= 0 { return .delivered }
        return errno == EAGAIN ? .full : .lost
    }

    /// Takes the next datagram; what does not fit is cut. Nil when there is none.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = recv(socket.number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        return count >= 0 ? count : nil
    }

    /// A descriptor that is writable when a send that was `full` is worth another try; not `number`. Throws when nobody is
    /// there.
    public func sendable() throws(SystemCallError) -> Int32 {
        var own = pollfd(fd: socket.number, events: Int16(POLLOUT), revents: 0)
        if poll(&own, 1, 0) == 0 { return ourRoom.number }
        try isGaugeConnected.withLock { (isConnected) throws(SystemCallError) in
            if !isConnected { try Self.connect(peerRoom.number, to: peer, peerPath) }
            isConnected = true
        }
        return peerRoom.number
    }

    private static func connect(
        _ number: Int32, to peer: borrowing UnixAddress, _ path: String
    ) throws(SystemCallError) {
        try systemCall("connect", path) { peer.with { Glibc.connect(number, $0, $1) } }
    }
}

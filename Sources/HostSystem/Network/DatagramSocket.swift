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
    private let peer: String
    private let socket: OwnedDescriptor
    private let peerAddress: UnixAddress
    /// What `sendable` gave out last.
    private let gauge = Mutex(OwnedDescriptor(owning: -1))

    /// Binds a socket at `path`, which must not exist, to send to `peer`, which need not exist yet.
    ///
    /// Throws what the kernel says, and `ENAMETOOLONG` for a name in the last folder that is longer than 107 bytes.
    public init(path: String, peer: String) throws(SystemCallError) {
        let address = try UnixAddress(path)
        peerAddress = try UnixAddress(peer)
        let socket = try StreamSocket.makeSocket(SOCK_DGRAM)
        try socket.setNonBlocking()
        // Last among what may throw: `deinit` removes the path, which must be ours then.
        try systemCall("bind", path) { address.with { bind(socket.number, $0, $1) } }
        self.socket = socket
        self.path = path
        self.peer = peer
    }

    deinit { unlink(path) }

    /// Sends one datagram.
    public func send(_ bytes: UnsafeRawBufferPointer) -> Sent {
        let sent = peerAddress.with { address, length in
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

    /// A descriptor that is writable when a send that was `full` is worth another try. It is a new one each time, and the
    /// former is closed: whoever watched that forgets it first. Throws when nobody is there.
    public func sendable() throws(SystemCallError) -> Int32 {
        // What was sent and not yet received counts against our own buffer: that may be what is full.
        var own = pollfd(fd: socket.number, events: Int16(POLLOUT), revents: 0)
        let isOurs = poll(&own, 1, 0) == 0
        let gauge = isOurs ? try duplicate() : try connected()
        let number = gauge.number
        let new = gauge.release()
        self.gauge.withLock { $0 = OwnedDescriptor(owning: new) }
        return number
    }

    private func duplicate() throws(SystemCallError) -> OwnedDescriptor {
        OwnedDescriptor(owning: try systemCall("fcntl") { fcntl(socket.number, F_DUPFD_CLOEXEC, 0) })
    }

    /// A socket that only tells when the other side's queue has room, as those that are connected do. The one we send with
    /// cannot be: it would hear its peer alone, and the switch speaks from other sockets.
    private func connected() throws(SystemCallError) -> OwnedDescriptor {
        let gauge = try StreamSocket.makeSocket(SOCK_DGRAM)
        let number = gauge.number
        try systemCall("connect", peer) { peerAddress.with { connect(number, $0, $1) } }
        return gauge
    }
}

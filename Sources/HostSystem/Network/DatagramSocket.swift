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

    /// What the name of the socket that sends has beyond that of the one that receives. They are two, for one that is
    /// connected hears its peer alone, and a switch speaks from other sockets; and who confines itself may send only where
    /// its sockets are connected to.
    static let senderSuffix = ".out"

    /// The socket that receives, to be watched for `readable`. Valid as long as this object lives.
    public var number: Int32 { receiver.number }

    private let path: String
    private let receiver: OwnedDescriptor
    private let sender: OwnedDescriptor
    private let peerPath: String
    private let peer: UnixAddress
    private let connection: Atomic<Bool>

    /// Binds sockets at `path` and `path.out`, to send to `peer`, which need not exist yet; but who may not connect any more
    /// sends nothing to a peer that was not there. What a process that was killed has left there is replaced.
    ///
    /// Throws what the kernel says: `EADDRINUSE` when somebody is there, and `ENAMETOOLONG` for a name in the last folder
    /// that is longer than 103 bytes.
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

    /// Removes both paths: nobody reaches it any more. Safe to repeat.
    public func close() {
        unlink(path)
        unlink(path + Self.senderSuffix)
    }

    /// Whether the peer was there when it was last looked for.
    public var isConnected: Bool { connection.load(ordering: .acquiring) }

    /// Sends one datagram.
    public func send(_ bytes: UnsafeRawBufferPointer) -> Sent {
        guard (try? connect()) != nil else { return .lost }
        var failure = sendConnected(bytes)
        if [ECONNREFUSED, ENOTCONN].contains(failure) {
            // The peer has gone; another may have come at its path.
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

    /// Takes the next datagram; what does not fit is cut. Nil when there is none.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = recv(receiver.number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        return count >= 0 ? count : nil
    }

    /// A descriptor that is writable when a send that was `full` is worth another try; not `number`. Throws when nobody is there.
    public func sendable() throws(SystemCallError) -> Int32 {
        try connect()
        return sender.number
    }

    private func connect() throws(SystemCallError) {
        // Two at once connect to the same peer.
        if !isConnected { try Self.connect(sender.number, to: peer, peerPath) }
        connection.store(true, ordering: .releasing)
    }

    private static func connect(
        _ number: Int32, to peer: borrowing UnixAddress, _ path: String
    ) throws(SystemCallError) {
        try systemCall("connect", path) { peer.with { Glibc.connect(number, $0, $1) } }
    }
}

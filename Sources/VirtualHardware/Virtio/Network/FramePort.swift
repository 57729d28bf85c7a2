import HostSystem

/// Where a network card's cable goes: takes and gives whole Ethernet frames, and never waits.
public protocol FramePort: AnyObject, Sendable {
    /// What became of a frame.
    typealias Sent = DatagramSocket.Sent

    /// A descriptor that is readable when a frame has come. Valid as long as this object lives.
    var number: Int32 { get }
    /// Sends one frame.
    func send(_ frame: UnsafeRawBufferPointer) -> Sent
    /// Takes one frame; one that fills the buffer was too long and is cut. Nil when there is none.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int?
    /// A descriptor that is writable when a send that was `full` is worth another try; it differs from `number`. Valid as
    /// long as this object lives. Throws when there is no use in trying.
    func sendable() throws(SystemCallError) -> Int32
    /// Whether it has yet to find the other end, which it does when it sends.
    var isConnecting: Bool { get }
    /// Removes what it has on the host's file system. Safe to repeat.
    func close()
}

extension FramePort {
    /// A port is usually there from the beginning.
    public var isConnecting: Bool { false }
    /// A port usually leaves nothing.
    public func close() {}
}

/// A cable to a switch or another machine over unix datagrams, a frame in each: what QEMU calls `-netdev dgram`.
public final class SegmentPort: FramePort {
    private let socket: DatagramSocket

    /// Receives at `path`, which must not exist, and sends to `peer`, such as an `EthernetSwitch`. Throws what the kernel
    /// says.
    public init(path: String, peer: String) throws(SystemCallError) {
        socket = try DatagramSocket(path: path, peer: peer)
    }

    /// Readable when a frame has come.
    public var number: Int32 { socket.number }
    /// Sends one frame; it is lost when nobody is at the other end.
    public func send(_ frame: UnsafeRawBufferPointer) -> Sent { socket.send(frame) }
    /// Takes one frame, if there is one.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? { socket.receive(into: buffer) }
    /// Writable when the other end has room again. Throws when nobody is there.
    public func sendable() throws(SystemCallError) -> Int32 { try socket.sendable() }
    /// Whether nobody was at the other end yet.
    public var isConnecting: Bool { !socket.isConnected }
    /// Removes the sockets' paths.
    public func close() { socket.close() }
}

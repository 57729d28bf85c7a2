import HostSystem

/// Where a network card's cable goes: takes and gives whole Ethernet frames, and never waits.
package protocol FramePort: AnyObject, Sendable {
    /// What became of a frame.
    typealias Sent = DatagramSocket.Sent

    /// A descriptor that is readable when a frame has come. Valid as long as this object lives.
    var number: Int32 { get }
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
    package var isConnecting: Bool { false }
    package func close() {}
}

/// A cable to a switch or another machine over unix datagrams, a frame in each: what QEMU calls `-netdev dgram`.
package final class SegmentPort: FramePort {
    private let socket: DatagramSocket

    /// Receives at `path`, which must not exist, and sends to `peer`, such as an `EthernetSwitch`. Throws what the kernel says.
    package init(path: String, peer: String) throws(SystemCallError) {
        socket = try DatagramSocket(path: path, peer: peer)
    }

    package var number: Int32 { socket.number }
    package func send(_ frame: UnsafeRawBufferPointer) -> Sent { socket.send(frame) }
    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? { socket.receive(into: buffer) }
    package func sendable() throws(SystemCallError) -> Int32 { try socket.sendable() }
    package var isConnecting: Bool { !socket.isConnected }
    package func close() { socket.close() }
}

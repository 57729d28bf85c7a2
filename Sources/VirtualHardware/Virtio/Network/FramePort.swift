import HostSystem

/// The backend of a network card: transfers whole Ethernet frames without blocking.
package protocol FramePort: AnyObject, Sendable {
    /// The outcome of a send.
    typealias Sent = DatagramSocket.Sent

    /// A descriptor that is readable when a frame was received. Valid as long as this object lives.
    var number: Int32 { get }
    func send(_ frame: UnsafeRawBufferPointer) -> Sent
    /// Receives one frame; one that fills the buffer was too long and is truncated. Nil when there is none.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int?
    /// A descriptor, other than `number`, that is writable when a `full` send may be retried; lives as long as this. Throws when
    /// none can.
    func sendable() throws(SystemCallError) -> Int32
    /// Whether it has not connected to its peer yet, which happens on the first send.
    var isConnecting: Bool { get }
    /// Removes its files on the host. Safe to repeat.
    func close()
}

extension FramePort {
    package var isConnecting: Bool { false }
    package func close() {}
}

/// A network backend over Unix datagrams, one frame each, to a switch or another machine: QEMU's `-netdev dgram`.
package final class SegmentPort: FramePort {
    private let socket: DatagramSocket

    /// Receives at `path`, which must not exist, and sends to `peer`, such as an `EthernetSwitch`. Throws the kernel's error.
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

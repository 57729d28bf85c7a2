import CLinux
import Glibc

/// Where a network card's frames go to and come from: a descriptor that passes one Ethernet frame with each read and write.
public final class FrameSocket: Sendable {
    private let descriptor: OwnedDescriptor
    /// A socket file of ours to remove in the end.
    private let path: String?
    /// Where a socket sends. It is not connected: a connected one takes frames from nobody but its peer, and a switch may
    /// send from other sockets than the one it receives with.
    private let remote: UnixAddress?

    /// The descriptor, for watching; valid as long as this object lives.
    public var number: Int32 { descriptor.number }

    private init(
        _ descriptor: consuming OwnedDescriptor, path: String? = nil, remote: consuming UnixAddress? = nil
    ) throws(SystemCallError) {
        try descriptor.setNonBlocking()
        self.descriptor = descriptor
        self.path = path
        self.remote = remote
    }

    deinit {
        if let path { unlink(path) }
    }

    /// A port of an `EthernetSwitch` or of anything else that speaks frames as unix datagrams: bound at `local`, which must
    /// not exist, sending to `remote`. Frames for a `remote` that is not there are lost.
    public static func segment(local: String, remote: String) throws(SystemCallError) -> FrameSocket {
        let here = try UnixAddress(local)
        let there = try UnixAddress(remote)
        let socket = try StreamSocket.makeSocket(SOCK_DGRAM)
        try systemCall("bind", local) { here.with { bind(socket.number, $0, $1) } }
        return try FrameSocket(socket, path: local, remote: there)
    }

    /// A TAP interface of the host, which must exist and belong to this user.
    public static func tap(_ name: String) throws(SystemCallError) -> FrameSocket {
        let number = vmlab_open_tap(name)
        guard number >= 0 else { throw SystemCallError("TUNSETIFF", name) }
        return try FrameSocket(OwnedDescriptor(owning: number))
    }

    /// Sends a frame. False when it was lost: nobody there, or no room.
    public func send(_ frame: UnsafeRawBufferPointer) -> Bool {
        let number = descriptor.number
        switch remote {
        case .some(let remote):
            return remote.with { sendto(number, frame.baseAddress, frame.count, 0, $0, $1) } == frame.count
        case nil: return Glibc.write(number, frame.baseAddress, frame.count) == frame.count
        }
    }

    /// Receives a frame; nil when none has come. What is longer than the buffer is cut.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = Glibc.read(descriptor.number, buffer.baseAddress, buffer.count)
        return count >= 0 ? count : nil
    }
}

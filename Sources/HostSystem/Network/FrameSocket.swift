import CLinux
import Glibc

/// Where a network card's frames go to and come from: a descriptor that passes one Ethernet frame with each read and write.
public final class FrameSocket: Sendable {
    private let descriptor: OwnedDescriptor
    /// A socket file of ours to remove in the end.
    private let path: String?
    /// Where frames go; nil when the descriptor knows.
    private let remote: UnixAddress?

    /// The descriptor, for watching; valid as long as this object lives.
    public var number: Int32 { descriptor.number }

    private init(_ descriptor: consuming OwnedDescriptor, path: String?, remote: consuming UnixAddress? = nil)
        throws(SystemCallError)
    {
        try descriptor.setNonBlocking()
        self.descriptor = descriptor
        self.path = path
        self.remote = remote
    }

    deinit {
        if let path { unlink(path) }
    }

    /// A port of an `EthernetSwitch` or of anything else that speaks frames as unix datagrams: bound at `local`, sending to
    /// `remote`; what is sent while nobody is there is lost.
    public static func segment(local: String, remote: String) throws(SystemCallError) -> FrameSocket {
        let here = try UnixAddress(local)
        let there = try UnixAddress(remote)
        let socket = try StreamSocket.makeSocket(SOCK_DGRAM)
        try systemCall("bind", local) { here.with { bind(socket.number, $0, $1) } }
        // Not connected: a connected socket takes datagrams from its peer alone, and a switch answers from other sockets.
        return try FrameSocket(socket, path: local, remote: there)
    }

    /// A TAP interface of the host, which must exist and belong to this user.
    public static func tap(_ name: String) throws(SystemCallError) -> FrameSocket {
        let number = vmlab_open_tap(name)
        guard number >= 0 else { throw SystemCallError("TUNSETIFF", name) }
        return try FrameSocket(OwnedDescriptor(owning: number), path: nil)
    }

    /// Sends a frame. False when it was lost: nobody there, or no room.
    public func send(_ frame: UnsafeRawBufferPointer) -> Bool {
        let sent =
            switch remote {
            case .some(let there): there.with { sendto(descriptor.number, frame.baseAddress, frame.count, 0, $0, $1) }
            case .none: Glibc.write(descriptor.number, frame.baseAddress, frame.count)
            }
        return sent == frame.count
    }

    /// Receives a frame; nil when none has come. What is longer than the buffer is cut.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = Glibc.read(descriptor.number, buffer.baseAddress, buffer.count)
        return count >= 0 ? count : nil
    }
}

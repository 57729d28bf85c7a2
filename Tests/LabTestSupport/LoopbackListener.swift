import Glibc
import HostSystem

/// A service on the host's 127.0.0.1: the kernel takes its clients, whether or not anybody serves them.
public final class LoopbackListener: Sendable {
    /// Its TCP port.
    public let port: UInt16
    private let socket: OwnedDescriptor

    /// A service on a port of the kernel's choice. Throws what the kernel says.
    public init() throws {
        let socket = OwnedDescriptor(
            owning: try systemCall("socket") { Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) })
        try socket.setNonBlocking()
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let number = socket.number
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(number, $0, length) == 0 && listen(number, 8) == 0 ? getsockname(number, $0, &length) : -1
            }
        }
        guard result == 0 else { throw SystemCallError("bind", "127.0.0.1") }
        self.socket = socket
        port = UInt16(bigEndian: address.sin_port)
    }

    /// Whether somebody has connected who is not yet told of.
    public var wasReached: Bool { accept(socket.number, nil, nil) >= 0 }
}

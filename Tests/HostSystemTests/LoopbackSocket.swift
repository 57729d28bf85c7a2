import Glibc
import LabTestSupport

@testable import HostSystem

/// A UDP socket on the host's 127.0.0.1.
final class LoopbackSocket: Sendable {
    /// Its port, of the kernel's choice.
    let port: UInt16
    private let socket: OwnedDescriptor
    private static let addressSize = socklen_t(MemoryLayout<sockaddr_in>.size)

    init() throws {
        socket = OwnedDescriptor(
            owning: try systemCall("socket") { Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) })
        try socket.setNonBlocking()
        let number = socket.number
        let loopback = sockaddr_in(
            sin_family: sa_family_t(AF_INET), sin_port: 0, sin_addr: in_addr(s_addr: in_addr_t(0x7f00_0001).bigEndian),
            sin_zero: (0, 0, 0, 0, 0, 0, 0, 0))
        try systemCall("bind") { Self.with(loopback) { bind(number, $0, Self.addressSize) } }
        var address = sockaddr_in()
        var length = Self.addressSize
        try systemCall("getsockname") {
            withUnsafeMutableBytes(of: &address) {
                getsockname(number, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, &length)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
    }

    /// Waits for a datagram and connects to who has sent it; nil when none comes.
    func received() async throws -> String? {
        var address = sockaddr_in()
        var text: String?
        _ = try await eventually {
            text = self.next(&address)
            return text != nil
        }
        let number = socket.number
        try systemCall("connect") { Self.with(address) { connect(number, $0, Self.addressSize) } }
        return text
    }

    /// Sends a datagram to whom it is connected with.
    func answer(_ text: String) throws {
        let bytes = Array(text.utf8)
        let number = socket.number
        try systemCall("send") { send(number, bytes, bytes.count, 0) }
    }

    /// Whether no datagram waits.
    var isEmpty: Bool {
        var address = sockaddr_in()
        return next(&address) == nil
    }

    private func next(_ sender: inout sockaddr_in) -> String? {
        var bytes = [UInt8](repeating: 0, count: 2048)
        var length = Self.addressSize
        let number = socket.number
        let count = withUnsafeMutableBytes(of: &sender) {
            recvfrom(number, &bytes, bytes.count, 0, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, &length)
        }
        return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }

    private static func with<Result>(
        _ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>?) -> Result
    ) -> Result {
        withUnsafeBytes(of: address) { body($0.assumingMemoryBound(to: sockaddr.self).baseAddress) }
    }
}

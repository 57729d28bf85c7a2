/// Decides which of a guest's frames may leave: those from its card's own address that do not reach the host's 127.0.0.1, except
/// explicitly opened ports. passt turns a guest's packets into host sockets. A packet for 127.0.0.1 or 0.0.0.0, which no
/// well-behaved system sends, would become a connection to the host's own services. The router's address stands for the host too.
struct OutsideFilter: Sendable {
    static let router: [UInt8] = [10, 0, 2, 2]
    static let card: [UInt8] = [10, 0, 2, 15]
    /// The source address of a system that requests one by DHCP.
    private static let none: [UInt8] = [0, 0, 0, 0]

    /// The TCP and UDP ports of the host's 127.0.0.1 that are open.
    var hostPorts: Set<UInt16>
    /// Whether the router answers DNS queries.
    var routerKnowsNames: Bool

    private enum EtherType {
        static let ipv4: UInt16 = 0x0800
        static let arp: UInt16 = 0x0806
    }

    private enum Transport {
        static let icmp: UInt8 = 1
        static let tcp: UInt8 = 6
        static let udp: UInt8 = 17
    }

    /// Whether a frame may leave. Unknown protocols may not.
    func passes(_ frame: UnsafeRawBufferPointer) -> Bool {
        switch Self.number(frame, at: 12) {
        case EtherType.arp: return true
        case EtherType.ipv4: return passes(packet: UnsafeRawBufferPointer(rebasing: frame.dropFirst(14)))
        default: return false
        }
    }

    private func passes(packet: UnsafeRawBufferPointer) -> Bool {
        guard packet.count >= 20, packet[0] >> 4 == 4 else { return false }
        let headerLength = Int(packet[0] & 15) * 4
        guard headerLength >= 20, packet.count >= headerLength else { return false }
        // passt uses the newest source as the guest's address, and sends the answers of all its connections there.
        guard [Self.card, Self.none].contains(Array(packet[12..<16])) else { return false }
        switch Array(packet[16..<20]) {
        case Self.router: return reachesOpenPort(packet, headerLength)
        // 127.0.0.0/8 is the host; Linux treats 0.0.0.0 as the host too, and the rest of 0.0.0.0/8 is unused.
        case let target: return target[0] != 127 && target[0] != 0
        }
    }

    private func reachesOpenPort(_ packet: UnsafeRawBufferPointer, _ headerLength: Int) -> Bool {
        // Only the first fragment has the ports; these bits are "more fragments" and the fragment offset.
        guard let fragments = Self.number(packet, at: 6), fragments & 0x3fff == 0 else { return false }
        let transport = packet[9]
        if transport == Transport.icmp { return true }
        guard transport == Transport.tcp || transport == Transport.udp,
            let port = Self.number(packet, at: headerLength + 2)
        else { return false }
        return hostPorts.contains(port) || routerKnowsNames && transport == Transport.udp && port == 53
    }

    /// A big-endian 16-bit number; nil beyond the end.
    private static func number(_ bytes: UnsafeRawBufferPointer, at place: Int) -> UInt16? {
        guard place + 1 < bytes.count else { return nil }
        return UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1])
    }
}

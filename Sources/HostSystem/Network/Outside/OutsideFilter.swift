/// Which frames of a guest go to the outside: those of its card's own address that do not reach the host's own 127.0.0.1, but
/// for the ports that are open by name.
///
/// passt turns what a guest sends into sockets of the host, and so a packet for 127.0.0.1 or 0.0.0.0, which no honest system
/// sends, into a connection to the host's own services; and its router's address stands for the host too.
struct OutsideFilter: Sendable {
    /// The router's address, which stands for the host's 127.0.0.1.
    static let router: [UInt8] = [10, 0, 2, 2]
    /// The card's own address.
    static let card: [UInt8] = [10, 0, 2, 15]
    /// What a system has for an address that asks for one, by DHCP.
    private static let none: [UInt8] = [0, 0, 0, 0]

    /// The TCP and UDP ports of the host's 127.0.0.1 that are open.
    var hostPorts: Set<UInt16>
    /// Whether the router answers questions for names.
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

    /// Whether a frame may go out. What is not understood may not.
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
        // passt takes the newest source for the guest's own address, and sends the answers of all its connections there.
        guard [Self.card, Self.none].contains(Array(packet[12..<16])) else { return false }
        switch Array(packet[16..<20]) {
        case Self.router: return reachesOpenPort(packet, headerLength)
        // 127.0.0.0/8 is the host; Linux takes 0.0.0.0 for it too, and the rest of 0.0.0.0/8 is nobody.
        case let target: return target[0] != 127 && target[0] != 0
        }
    }

    private func reachesOpenPort(_ packet: UnsafeRawBufferPointer, _ headerLength: Int) -> Bool {
        // The ports are in the first fragment only; more fragments, or an offset, is what these bits tell.
        guard let fragments = Self.number(packet, at: 6), fragments & 0x3fff == 0 else { return false }
        let transport = packet[9]
        if transport == Transport.icmp { return true }
        guard transport == Transport.tcp || transport == Transport.udp,
            let port = Self.number(packet, at: headerLength + 2)
        else { return false }
        return hostPorts.contains(port) || routerKnowsNames && transport == Transport.udp && port == 53
    }

    /// A big-endian number of 16 bits; nil beyond the end.
    private static func number(_ bytes: UnsafeRawBufferPointer, at place: Int) -> UInt16? {
        guard place + 1 < bytes.count else { return nil }
        return UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1])
    }
}

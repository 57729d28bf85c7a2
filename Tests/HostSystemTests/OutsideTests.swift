import Glibc
import LabTestSupport
import Testing

@testable import HostSystem

@Suite("The way to the outside")
struct OutsideTests {
    /// A frame with an IPv4 packet whose header has `words` more words of options.
    private static func frame(
        from source: [UInt8] = OutsideFilter.card, to target: [UInt8], protocol transport: UInt8 = 6,
        port: UInt16 = 80, words: UInt8 = 0, fragment: UInt16 = 0x4000
    ) -> [UInt8] {
        let ethernet: [UInt8] = [UInt8](repeating: 2, count: 12) + [8, 0]
        let start: [UInt8] = [
            0x45 + words, 0, 0, 60, 0, 1, UInt8(fragment >> 8), UInt8(fragment & 255), 64, transport, 0, 0,
        ]
        let addresses: [UInt8] = source + target + [UInt8](repeating: 0, count: 4 * Int(words))
        return ethernet + start + addresses + [0x9c, 0x40, UInt8(port >> 8), UInt8(port & 255)]
            + [UInt8](repeating: 0, count: 16)
    }

    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        var sum = stride(from: 0, to: bytes.count, by: 2).reduce(0) {
            $0 + UInt32(bytes[$1]) << 8 + UInt32(bytes[$1 + 1])
        }
        while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
        return [UInt8(~sum >> 8 & 255), UInt8(~sum & 255)]
    }

    private static func packet(
        from source: [UInt8], to target: [UInt8], protocol transport: UInt8, _ content: [UInt8]
    ) -> [UInt8] {
        let length = UInt8(20 + content.count)
        var header: [UInt8] = [0x45, 0, 0, length, 0, 1, 0x40, 0, 64, transport, 0, 0] + source + target
        header.replaceSubrange(10..<12, with: checksum(header))
        return [UInt8](repeating: 0xff, count: 6) + [UInt8](repeating: 2, count: 6) + [8, 0] + header + content
    }

    /// A frame that opens a TCP connection to a port.
    private static func opening(to target: [UInt8], _ port: UInt16) -> [UInt8] {
        var segment: [UInt8] = [0x9c, target[0], UInt8(port >> 8), UInt8(port & 255), 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2]
        segment += [0xfa, 0, 0, 0, 0, 0]
        segment.replaceSubrange(16..<18, with: checksum(OutsideFilter.card + target + [0, 6, 0, 20] + segment))
        return packet(from: OutsideFilter.card, to: target, protocol: 6, segment)
    }

    /// A frame with a UDP datagram, without a checksum, from port 40000.
    private static func datagram(
        from source: [UInt8] = OutsideFilter.card, to target: [UInt8], _ port: UInt16, _ text: String
    ) -> [UInt8] {
        let length = UInt8(8 + text.utf8.count)
        return packet(
            from: source, to: target, protocol: 17,
            [0x9c, 0x40, UInt8(port >> 8), UInt8(port & 255), 0, length, 0, 0] + text.utf8)
    }

    private static func passes(_ frame: [UInt8], open ports: Set<UInt16> = [], names: Bool = false) -> Bool {
        frame.withUnsafeBytes { OutsideFilter(hostPorts: ports, routerKnowsNames: names).passes($0) }
    }

    @Test(
        "S12: no packet is for the host's own 127.0.0.1, however it is addressed",
        arguments: [[10, 0, 2, 2], [127, 0, 0, 1], [127, 9, 9, 9], [0, 0, 0, 0], [0, 1, 2, 3]] as [[UInt8]])
    func closed(target: [UInt8]) {
        for transport: UInt8 in [6, 17, 132] {
            for words: UInt8 in [0, 3, 10] {
                #expect(!Self.passes(Self.frame(to: target, protocol: transport, words: words)))
                #expect(
                    !Self.passes(Self.frame(to: target, protocol: transport, words: words), open: [8080], names: true))
            }
        }
    }

    @Test("S12: a port that is open by name is reached at the router, by TCP and UDP, and in whole packets only")
    func open() {
        let router = OutsideFilter.router
        for transport: UInt8 in [6, 17] {
            for words: UInt8 in [0, 4] {
                #expect(
                    Self.passes(Self.frame(to: router, protocol: transport, port: 8080, words: words), open: [8080]))
            }
            #expect(!Self.passes(Self.frame(to: router, protocol: transport, port: 8081), open: [8080]))
            for fragment: UInt16 in [0x2000, 0x0001, 0x1fff] {
                let part = Self.frame(to: router, protocol: transport, port: 8080, fragment: fragment)
                #expect(!Self.passes(part, open: [8080]))
            }
        }
        #expect(!Self.passes(Self.frame(to: [127, 0, 0, 1], port: 8080), open: [8080]))
        #expect(!Self.passes(Self.frame(to: router, protocol: 132, port: 8080), open: [8080]))
    }

    @Test("S12: the outside, DHCP, ARP and echo requests to the router pass; names too where the host asks itself")
    func passing() {
        for target: [UInt8] in [
            [192, 0, 2, 1], [255, 255, 255, 255], [10, 0, 2, 3], [224, 0, 0, 251], [126, 0, 0, 1],
        ] {
            #expect(Self.passes(Self.frame(to: target)))
            #expect(Self.passes(Self.frame(to: target, protocol: 17, fragment: 0x2000)))
        }
        #expect(Self.passes([UInt8](repeating: 1, count: 12) + [8, 6] + [UInt8](repeating: 0, count: 28)))
        #expect(Self.passes(Self.frame(to: OutsideFilter.router, protocol: 1)))
        let question = Self.frame(to: OutsideFilter.router, protocol: 17, port: 53)
        #expect(Self.passes(question, names: true) && !Self.passes(question))
        #expect(!Self.passes(Self.frame(to: OutsideFilter.router, port: 53), names: true))
    }

    @Test(
        "S12: a source that is not the card's own address does not pass, but for none, with which DHCP begins",
        arguments: [[127, 0, 0, 1], [10, 0, 2, 2], [10, 0, 2, 16], [192, 0, 2, 1], [255, 255, 255, 255]] as [[UInt8]])
    func spoofed(source: [UInt8]) {
        for transport: UInt8 in [1, 6, 17] {
            #expect(!Self.passes(Self.frame(from: source, to: [192, 0, 2, 9], protocol: transport)))
            let toOpen = Self.frame(from: source, to: OutsideFilter.router, protocol: transport, port: 8080)
            #expect(!Self.passes(toOpen, open: [8080]))
        }
        #expect(Self.passes(Self.frame(from: [0, 0, 0, 0], to: [255, 255, 255, 255], protocol: 17, port: 67)))
    }

    @Test("S12: what is cut short, IPv6, and what is no IPv4 does not pass")
    func unknown() {
        let whole = Self.frame(to: [192, 0, 2, 1])
        for length in 0..<34 { #expect(!Self.passes(Array(whole.prefix(length)))) }
        let toRouter = Self.frame(to: OutsideFilter.router, port: 8080, words: 10)
        for length in 0..<78 { #expect(!Self.passes(Array(toRouter.prefix(length)), open: [8080])) }
        for type: [UInt8] in [[0x86, 0xdd], [0x81, 0], [0x88, 0xa8], [0, 64]] {
            #expect(!Self.passes(Array(whole[..<12]) + type + whole[14...]))
        }
        for first: UInt8 in [0x65, 0x44, 0x40, 0x05] {
            var strange = whole
            strange[14] = first
            #expect(!Self.passes(strange))
        }
    }

    @Test(
        "S12: what a hostile guest sends for the host's 127.0.0.1 does not come there, open ports do, and passt ends",
        .enabled("passt is not there: `apt-get install passt`") { Tool.find("passt") != nil })
    func hostile() async throws {
        try await withTemporaryFolder { folder in
            let (closed, open) = (try LoopbackListener(), try LoopbackListener())
            let card = try DatagramSocket(path: folder + "/card", peer: folder + "/router")
            let passt = Completion<ChildProcess>()
            try await OutsideLink.with(
                card: folder + "/card", mac: "02:02:02:02:02:02", at: folder + "/router", hostPorts: [open.port],
                started: { passt.fulfil($0) }, ended: { Issue.record("\($0)") }
            ) {
                func send(_ target: [UInt8], _ port: UInt16) -> DatagramSocket.Sent {
                    Self.opening(to: target, port).withUnsafeBytes { card.send($0) }
                }
                for target: [UInt8] in [[10, 0, 2, 2], [127, 0, 0, 1], [0, 0, 0, 0], [255, 255, 255, 255]] {
                    #expect(send(target, closed.port) == .delivered)
                }
                // In order: when this one was let in, those before it were not.
                #expect(send([10, 0, 2, 2], open.port) == .delivered)
                let isOpen = try await eventually { open.wasReached }
                #expect(isOpen && !closed.wasReached && passt.current?.exitStatus == nil)
            }
            #expect(passt.current?.exitStatus != nil)
            #expect(try FileTree.names(in: folder).allSatisfy { $0.hasPrefix("card") })
        }
    }

    @Test(
        "S12: by UDP too only open ports are reached; the answer comes back, also after packets with spoofed sources",
        .enabled("passt is not there: `apt-get install passt`") { Tool.find("passt") != nil })
    func datagrams() async throws {
        try await withTemporaryFolder { folder in
            let (closed, open) = (try LoopbackSocket(), try LoopbackSocket())
            let card = try DatagramSocket(path: folder + "/card", peer: folder + "/router")
            try await OutsideLink.with(
                card: folder + "/card", mac: "02:02:02:02:02:02", at: folder + "/router", hostPorts: [open.port],
                started: { _ in }, ended: { Issue.record("\($0)") }
            ) {
                func send(_ frame: [UInt8]) { frame.withUnsafeBytes { #expect(card.send($0) == .delivered) } }
                for target: [UInt8] in [[10, 0, 2, 2], [127, 0, 0, 1], [0, 0, 0, 0]] {
                    send(Self.datagram(to: target, closed.port, "closed"))
                }
                for source: [UInt8] in [[127, 0, 0, 1], [192, 0, 2, 1], [10, 0, 2, 99]] {
                    send(Self.datagram(from: source, to: [10, 0, 2, 2], open.port, "spoofed"))
                }
                send(Self.datagram(to: [10, 0, 2, 2], open.port, "honest"))
                // In order: those before it were not let in.
                let question = try await open.received()
                #expect(question == "honest")
                try open.answer("answer")
                let isAnswered = try await eventually { Self.texts(of: card).contains { $0.hasSuffix("answer") } }
                #expect(isAnswered)
                #expect(closed.isEmpty && open.isEmpty)
            }
        }
    }

    /// What the frames that the card has received end with.
    private static func texts(of card: DatagramSocket) -> [String] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FrameStream.longest, alignment: 16)
        defer { buffer.deallocate() }
        var texts: [String] = []
        while let count = card.receive(into: buffer) { texts.append(String(decoding: buffer[..<count], as: UTF8.self)) }
        return texts
    }

    @Test("Frames come out of a stream as they went in, however it is cut")
    func stream() throws {
        let frames: [[UInt8]] = [[1, 2, 3], [], [UInt8](repeating: 7, count: 70_000 - 2000), [9]]
        let bytes = frames.flatMap { FrameStream.encoded($0) }
        for step in [1, 5, 4096, bytes.count] {
            var stream = FrameStream()
            var found: [[UInt8]] = []
            for start in stride(from: 0, to: bytes.count, by: step) {
                stream.append(Array(bytes[start..<min(start + step, bytes.count)]))
                while let frame = try stream.next() { found.append(frame) }
            }
            #expect(found == frames)
        }
        var endless = FrameStream()
        endless.append([0xff, 0xff, 0xff, 0xff])
        #expect(throws: SystemCallError.self) { try endless.next() }
    }

    @Test(
        "S12: a name server of the host's own is nobody whom a guest could ask",
        arguments: [
            ("nameserver 192.0.2.53\n", "192.0.2.53"),
            ("# x\nsearch a\n  nameserver\t10.1.1.1 # y\nnameserver 8.8.8.8", "10.1.1.1"),
            ("nameserver fe80::1\nnameserver 10.1.1.1\n", "10.1.1.1"),
            ("nameserver 127.0.0.53\nnameserver 10.1.1.1", nil),
            ("nameserver 0.0.0.0", nil), ("nameserver\nnameserver x", nil), ("", nil),
        ] as [(String, String?)])
    func resolver(text: String, address: String?) {
        #expect(HostResolver.address(in: text) == address)
    }
}

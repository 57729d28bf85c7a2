import CLinux
import Glibc
import HostSystem
import LabTestSupport
import Testing
import VirtualHardware

/// A reactor on a thread of its own, until the end of the test.
final class RunningReactor: Sendable {
    let reactor: Reactor
    private let thread: HostThread

    init() throws {
        let reactor = try Reactor()
        self.reactor = reactor
        thread = try HostThread("reactor") { reactor.run() }
    }

    deinit {
        reactor.stop()
        thread.join()
    }
}

/// A card at a switch with its driver.
private struct Card {
    let device: NetworkDevice
    let driver: ScriptedDriver
    let mac: [UInt8]

    init(_ number: UInt8, at network: EthernetSwitch, in folder: String, on running: RunningReactor) throws {
        let path = folder + "/port\(number)"
        mac = [0x52, 0x54, 0, 0, 0, number]
        let port = try FrameSocket.segment(local: path, remote: network.path)
        try network.attach(path)
        device = try NetworkDevice(port, mac: mac, reactor: running.reactor)
        driver = try ScriptedDriver(device)
        driver.start()
    }

    func send(_ frame: [UInt8]) throws {
        _ = try driver.run([[UInt8](repeating: 0, count: 12), frame], queue: 1)
    }

    /// Waits for a frame into a buffer given before. The switch's tasks need the pool's threads meanwhile.
    func received() async throws -> UInt32 {
        var written: UInt32?
        let came = try await eventually {
            written = try driver.takeUsed(0)?.written
            return written != nil
        }
        try #require(came, "no frame came")
        return written ?? 0
    }
}

private func frame(to target: [UInt8], from source: [UInt8], count: Int, fill: UInt8) -> [UInt8] {
    target + source + [0x88, 0xb5] + [UInt8](repeating: fill, count: count - 14)
}

@Suite("Network device") struct NetworkDeviceTests {
    private func withCards(_ body: (Card, Card) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let network = try EthernetSwitch(path: folder + "/switch")
            defer { network.close() }
            let running = try RunningReactor()
            let one = try Card(1, at: network, in: folder, on: running)
            let two = try Card(2, at: network, in: folder, on: running)
            defer {
                one.device.end()
                two.device.end()
            }
            try await body(one, two)
        }
    }

    @Test("Its configuration is the address and a link that is up")
    func configuration() async throws {
        try await withCards { one, _ in
            #expect((0..<6).map { UInt8(one.driver.transport.read(at: 0x100 + $0, width: 1)) } == one.mac)
            #expect(one.driver.transport.read(at: 0x106, width: 2) == 1)
        }
    }

    @Test("Frames go from card to card through the switch, with an empty header, however the buffers are cut")
    func frames() async throws {
        try await withCards { one, two in
            let sizes = [14, 60, 1514, 1518]
            let requests = try sizes.map { _ in try two.driver.add([], writable: [5, 7, 100, 1500]) }
            two.driver.ring()
            for (number, size) in sizes.enumerated() {
                let sent = frame(to: two.mac, from: one.mac, count: size, fill: UInt8(number + 1))
                try one.send(sent)
                #expect(try await two.received() == UInt32(12 + size))
                let content = try two.driver.content(requests[number])
                #expect(Array(content[..<12]) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0])
                #expect(Array(content[12..<(12 + size)]) == sent)
            }
            #expect(one.device.dropped == 0)
        }
    }

    @Test("A frame that came before the driver gave buffers is delivered as soon as it does")
    func starved() async throws {
        try await withCards { one, two in
            two.driver.start(ScriptedDriver.version1 | ScriptedDriver.eventIndex)
            // The first buffer is used up; the second frame finds none.
            _ = try two.driver.add([], writable: [1600])
            two.driver.ring()
            try one.send(frame(to: two.mac, from: one.mac, count: 60, fill: 1))
            #expect(try await two.received() == 72)
            try one.send(frame(to: two.mac, from: one.mac, count: 61, fill: 2))
            try one.send(frame(to: two.mac, from: one.mac, count: 62, fill: 3))
            #expect(try await eventually { try Self.waits(two) })
            _ = try two.driver.add([], writable: [1600])
            two.driver.ring()
            #expect(try await two.received() == 73)
            _ = try two.driver.add([], writable: [1600])
            two.driver.ring()
            #expect(try await two.received() == 74)
        }
    }

    /// Whether the card has asked to hear of the second buffer: it has a frame and no room for it.
    private static func waits(_ card: Card) throws -> Bool {
        let ring = card.driver.queues[0]
        return try card.driver.memory.load(UInt16.self, at: ring.used + 4 + 8 * UInt64(ring.size)) == 1
    }

    @Test("A runt or giant frame of the driver is dropped, and the next one sent")
    func badFrames() async throws {
        try await withCards { one, two in
            _ = try two.driver.add([], writable: [1600])
            two.driver.ring()
            let header = [UInt8](repeating: 0, count: 12)
            for bad in [[], [1, 2], header, header + [1, 2, 3], header + [UInt8](repeating: 1, count: 1519)] {
                #expect(try one.driver.run([bad], queue: 1).written == 0)
            }
            #expect(try one.driver.run([], writable: [100], queue: 1).written == 0)
            #expect(one.device.dropped == 6)
            try one.send(frame(to: two.mac, from: one.mac, count: 60, fill: 9))
            #expect(try await two.received() == 72)
            #expect(!one.driver.needsReset)
        }
    }

    @Test("A runt or giant frame from outside is dropped, and the next one delivered")
    func badFramesFromOutside() async throws {
        try await withTemporaryFolder { folder in
            let peer = try DatagramPeer(folder + "/peer")
            let running = try RunningReactor()
            let port = try FrameSocket.segment(local: folder + "/card", remote: folder + "/peer")
            let device = try NetworkDevice(port, mac: [2, 0, 0, 0, 0, 1], reactor: running.reactor)
            defer { device.end() }
            let driver = try ScriptedDriver(device)
            driver.start()
            let request = try driver.add([], writable: [2000])
            driver.ring()
            for count in [0, 1, 13, 1519, 9000, 100] { try peer.send(count, to: folder + "/card") }
            #expect(driver.line.wait())
            #expect(try driver.takeUsed()?.written == 112)
            #expect(try driver.content(request)[12] == 100)
            #expect(device.dropped == 5)
        }
    }

    @Test("A reset forgets frames and queues; after it the card works again")
    func reset() async throws {
        try await withCards { one, two in
            _ = try two.driver.add([], writable: [1600])
            two.driver.ring()
            two.driver.start()
            _ = try two.driver.add([], writable: [1600])
            two.driver.ring()
            try one.send(frame(to: two.mac, from: one.mac, count: 60, fill: 1))
            #expect(try await two.received() == 72)
        }
    }

    @Test("A queue that the driver breaks stops the card until its reset", arguments: [0, 1])
    func broken(queue: Int) async throws {
        try await withCards { one, two in
            try two.driver.put(0, address: .max - 5, count: 100, flags: queue == 0 ? 2 : 0, queue: queue)
            try two.driver.publish(0, queue: queue)
            two.driver.ring(queue)
            if queue == 0 {
                try one.send(frame(to: two.mac, from: one.mac, count: 60, fill: 1))
                #expect(try await eventually { two.driver.needsReset })
            }
            #expect(two.driver.needsReset)
            two.driver.start()
            #expect(!two.driver.needsReset)
            _ = try two.driver.add([], writable: [1600])
            two.driver.ring()
            try one.send(frame(to: two.mac, from: one.mac, count: 60, fill: 2))
            #expect(try await two.received() == 72)
        }
    }
}

/// A socket that sends what is no Ethernet frame too.
private final class DatagramPeer {
    private let socket: OwnedDescriptor

    init(_ path: String) throws {
        socket = OwnedDescriptor(
            owning: try systemCall("socket") {
                Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            })
        let number = socket.number
        try systemCall("bind") { Self.with(path) { bind(number, $0, $1) } }
    }

    /// Sends so many bytes, each of which is the count's low byte.
    func send(_ count: Int, to path: String) throws {
        let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: count), count: count)
        let number = socket.number
        try systemCall("sendto") { Self.with(path) { sendto(number, bytes, count, 0, $0, $1) } }
    }

    private static func with<Result>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

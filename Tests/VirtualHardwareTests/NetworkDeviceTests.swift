import Glibc
import HostSystem
import Testing

@testable import VirtualHardware

@Suite("Virtio network card", .timeLimit(.minutes(1)))
struct NetworkDeviceTests {
    private let running: RunningReactor

    init() throws { running = try RunningReactor() }

    private func frame(_ count: Int, _ byte: UInt8 = 0x55) -> [UInt8] { [UInt8](repeating: byte, count: count) }

    @Test("Its configuration has the address, a link and one pair of queues")
    func configuration() throws {
        let card = try NetworkDriver(ScriptedPort(), running.reactor, address: "52:54:00:0a:0B:ff")
        let transport = card.driver.transport
        #expect(transport.read(at: 0x100, width: 8) == 0x0001_ff0b_0a00_5452)
        #expect(transport.read(at: 0x108, width: 2) & 0xffff == 1)
        #expect(transport.read(at: 0x10a, width: 2) & 0xffff == 1500)
    }

    @Test("Addresses are read as they are written, and only those of one card")
    func addresses() {
        #expect(EthernetAddress("52:54:00:0a:0b:ff")?.description == "52:54:00:0a:0b:ff")
        for wrong in [
            "", "52:54:00:0a:0b", "52:54:00:0a:0b:ff:00", "52:54:00:0a:0b:fg", "52:54:0:0a:0b:ff",
            "53:54:00:0a:0b:ff", "+2:54:00:0a:0b:ff", "52:54:00:0a:0b:",
        ] {
            #expect(EthernetAddress(wrong) == nil, "\(wrong)")
        }
    }

    @Test("Frames go out as they are, wherever the buffers end")
    func sending() throws {
        let port = try ScriptedPort()
        let card = try NetworkDriver(port, running.reactor)
        let driver = card.driver
        try card.send(frame(60))
        let header = [UInt8](repeating: 0, count: 12)
        #expect(try driver.used(NetworkDevice.sendQueue).written == 0)
        // One piece for all; the header cut in two, with a part of the frame.
        try driver.post([driver.readable(header + frame(14, 1))], to: NetworkDevice.sendQueue)
        try driver.post(
            [driver.readable([0]), driver.readable(Array(header.dropFirst()) + [2]), driver.readable(frame(1517, 2))],
            to: NetworkDevice.sendQueue)
        for _ in 0..<2 { _ = try driver.used(NetworkDevice.sendQueue) }
        #expect(port.sent == [frame(60), frame(14, 1), frame(1518, 2)])
        #expect(card.device.statistics == NetworkDevice.Statistics(received: 0, sent: 3, dropped: 0))
    }

    @Test("What is no frame is not sent; its buffers come back")
    func noFrames() throws {
        let port = try ScriptedPort()
        let card = try NetworkDriver(port, running.reactor)
        let driver = card.driver
        for bytes in [[], frame(1), frame(11), frame(12), frame(12 + 13), frame(12 + 1519), frame(100_000)] {
            try driver.post([driver.readable(bytes)], to: NetworkDevice.sendQueue)
            _ = try driver.used(NetworkDevice.sendQueue)
        }
        try driver.post([driver.writable(100)], to: NetworkDevice.sendQueue)
        _ = try driver.used(NetworkDevice.sendQueue)
        #expect(port.sent == [])
        #expect(card.device.statistics == NetworkDevice.Statistics(received: 0, sent: 0, dropped: 8))
    }

    @Test("Frames come in with a header in front; too short and too long ones do not")
    func receiving() throws {
        let port = try ScriptedPort()
        let card = try NetworkDriver(port, running.reactor)
        let first = try card.lend()
        for count in [0, 1, 13, 1519, 5000, 14] { port.deliver(frame(count)) }
        #expect(try card.received(first) == frame(14))
        // A buffer in pieces that fits exactly.
        let pieces = [card.driver.writable(5), card.driver.writable(20), card.driver.writable(12 + 1518 - 25)]
        try card.driver.post(pieces, to: NetworkDevice.receiveQueue)
        port.deliver(frame(1518, 3))
        #expect(try card.driver.used(NetworkDevice.receiveQueue).written == 12 + 1518)
        let bytes = try pieces.flatMap { try card.driver.bytes($0) }
        #expect(Array(bytes.dropFirst(12)) == frame(1518, 3))
        #expect(card.device.statistics == NetworkDevice.Statistics(received: 2, sent: 0, dropped: 5))
    }

    @Test("A buffer that is too small, or not to be written, loses the frame and waits for a shorter one")
    func smallBuffer() throws {
        let port = try ScriptedPort()
        let card = try NetworkDriver(port, running.reactor)
        let small = try card.lend(12 + 20)
        port.deliver(frame(21))
        port.deliver(frame(20, 4))
        #expect(try card.received(small) == frame(20, 4))
        try card.driver.post([card.driver.readable(frame(1530))], to: NetworkDevice.receiveQueue)
        port.deliver(frame(60))
        running.settle()
        #expect(card.device.statistics == NetworkDevice.Statistics(received: 1, sent: 0, dropped: 2))
        #expect(try card.driver.queues[0].takeUsed() == nil)
    }

    @Test("Without buffers frames wait, nobody looks for them, and a new buffer gets them in order")
    func starvation() throws {
        let port = try ScriptedPort()
        let card = try NetworkDriver(port, running.reactor)
        for number in 0..<200 as Range<UInt8> { port.deliver(frame(60, number)) }
        running.settle()
        let looks = port.looks
        running.settle()
        #expect(port.looks == looks, "the reactor goes round and round")
        for number in 0..<200 as Range<UInt8> {
            let buffer = try card.lend(12 + 60)
            #expect(try card.received(buffer) == frame(60, number))
        }
        #expect(card.device.statistics.dropped == 0)
    }

    @Test("A full port holds frames in the guest, in order and without turning round")
    func fullPort() throws {
        let port = try ScriptedPort()
        let card = try NetworkDriver(port, running.reactor)
        port.setFull(true)
        for number in 0..<30 as Range<UInt8> { try card.send(frame(60, number)) }
        running.settle()
        #expect(port.sent == [])
        #expect(try card.driver.queues[1].usedIndex() == 0)
        port.setFull(false)
        for _ in 0..<30 { _ = try card.driver.used(NetworkDevice.sendQueue) }
        #expect(port.sent == (0..<30).map { frame(60, $0) })
        #expect(card.device.statistics == NetworkDevice.Statistics(received: 0, sent: 30, dropped: 0))
    }

    @Test("More frames than one round takes are all sent")
    func rounds() throws {
        let port = try ScriptedPort()
        let card = try NetworkDriver(port, running.reactor)
        let queue = card.driver.queues[NetworkDevice.sendQueue]
        let buffer = try card.driver.readable(frame(12 + 60))
        try queue.wantInterrupt(after: 127)
        _ = card.driver.line.take()
        for _ in 0..<128 { _ = try queue.post([buffer]) }
        card.driver.transport.notify(queue: NetworkDevice.sendQueue)
        #expect(card.driver.line.wait())
        #expect(port.sent.count == 128)
    }

    @Test("A reset forgets the frame that waits and the buffers lent; the card serves again")
    func reset() throws {
        let port = try ScriptedPort()
        let card = try NetworkDriver(port, running.reactor)
        port.setFull(true)
        try card.send(frame(60, 1))
        _ = try card.lend()
        let old = card.driver.queues
        card.driver.write(0, .status)
        port.setFull(false)
        port.deliver(frame(60, 2))
        running.settle()
        for queue in old { #expect(try queue.usedIndex() == 0) }
        #expect(port.sent == [])
        try card.start()
        let buffer = try card.lend()
        #expect(try card.received(buffer) == frame(60, 2))
        try card.send(frame(60, 3))
        _ = try card.driver.used(NetworkDevice.sendQueue)
        #expect(port.sent == [frame(60, 3)])
    }

    @Test("A broken queue stops the card until it is reset", arguments: [0, 1])
    func broken(queue number: Int) throws {
        let port = try ScriptedPort()
        let card = try NetworkDriver(port, running.reactor)
        try card.driver.queues[number].makeAvailable(999)
        card.driver.transport.notify(queue: number)
        port.deliver(frame(60))
        running.settle()
        #expect(card.driver.status.contains(.needsReset))
        #expect(card.driver.transport.signals.violations.last == .noSuchDescriptor(999))
        try card.start()
        try card.send(frame(60, 3))
        _ = try card.driver.used(NetworkDevice.sendQueue)
        #expect(port.sent == [frame(60, 3)])
    }
}

import Glibc
import HostSystem
import Testing

@testable import VirtualHardware

@Suite("Cables of network cards", .timeLimit(.minutes(1)))
struct FramePortTests {
    private let running: RunningReactor

    init() throws { running = try RunningReactor() }

    private func frame(_ count: Int, _ byte: UInt8 = 0x55) -> [UInt8] { [UInt8](repeating: byte, count: count) }

    @Test("Two guests talk through a switch")
    func throughSwitch() async throws {
        let files = try TemporaryFiles()
        let hub = try EthernetSwitch(path: files.path + "/switch")
        defer { hub.close() }
        let cards = try (0..<2).map { number in
            let path = "\(files.path)/guest\(number)"
            try hub.attach(path)
            return try NetworkDriver(
                SegmentPort(path: path, peer: hub.path), running.reactor, address: "52:54:00:00:00:0\(number)")
        }
        func address(_ number: UInt8) -> [UInt8] { [0x52, 0x54, 0, 0, 0, number] }
        let everyone = [UInt8](repeating: 0xff, count: 6)
        var buffers = try cards.map { try $0.lend() }
        let question = everyone + address(0) + [0x88, 0xb5] + Array("who is there?".utf8)
        try cards[0].send(question)
        #expect(try await cards[1].receivedLater(buffers[1]) == question)
        let answer = address(0) + address(1) + [0x88, 0xb5] + Array("I am".utf8)
        try cards[1].send(answer)
        #expect(try await cards[0].receivedLater(buffers[0]) == answer)
        // Long enough that queues fill; one at a time, as the switch may drop what is too fast.
        for number in 0..<300 {
            buffers[1] = try cards[1].lend()
            let text = address(1) + address(0) + [0x88, 0xb5] + Array("\(number)".utf8)
            try cards[0].send(text)
            #expect(try await cards[1].receivedLater(buffers[1]) == text)
            _ = try cards[0].driver.queues[1].takeUsed()
        }
    }

    @Test("Two cards on one cable lose nothing when the receiver is slow")
    func slowReceiver() throws {
        let files = try TemporaryFiles()
        let (left, right) = (files.path + "/left", files.path + "/right")
        let sender = try NetworkDriver(SegmentPort(path: left, peer: right), running.reactor)
        let receiver = try NetworkDriver(SegmentPort(path: right, peer: left), running.reactor)
        // Far more than a socket's queue takes.
        for number in 0..<60 as Range<UInt8> { try sender.send(frame(1000, number)) }
        for number in 0..<60 as Range<UInt8> {
            let buffer = try receiver.lend()
            #expect(try receiver.received(buffer) == frame(1000, number))
        }
        for _ in 0..<60 { _ = try sender.driver.used(NetworkDevice.sendQueue) }
        #expect(sender.device.statistics == NetworkDevice.Statistics(received: 0, sent: 60, dropped: 0))
    }

    @Test("Nobody at the other end: frames are lost, the guest goes on")
    func nobody() throws {
        let files = try TemporaryFiles()
        let card = try NetworkDriver(SegmentPort(path: files.path + "/a", peer: files.path + "/b"), running.reactor)
        try card.send(frame(60))
        _ = try card.driver.used(NetworkDevice.sendQueue)
        #expect(card.device.statistics.dropped == 1)
    }

    @Test("A tap interface that cannot be used says what helps")
    func tapErrors() {
        func text(_ call: String, _ errno: Int32) -> String {
            TapError(interface: "tap7", cause: SystemCallError(call, errno: errno)).description
        }
        #expect(text("open", EACCES).contains("readable and writable for this user"))
        #expect(text("open", ENOENT).contains("modprobe tun"))
        #expect(text("TUNSETIFF", EPERM).contains("ip tuntap add tap7 mode tap user"))
        #expect(text("TUNSETIFF", EBUSY).contains("another machine"))
        // A name that no interface has, whoever we are.
        #expect(throws: TapError.self) { try TapPort(name: "a-name-of-more-than-fifteen-bytes") }
    }

    @Test("Frames on a tap interface that is down are lost, not in the way", .enabled("not root") { geteuid() == 0 })
    func tap() throws {
        // Root makes an interface by attaching to it; it goes with the port.
        guard let port = try? TapPort(name: "vmlabtest%d") else { return }
        let card = try NetworkDriver(port, running.reactor)
        try card.send(frame(60))
        _ = try card.driver.used(NetworkDevice.sendQueue)
        #expect(card.device.statistics.dropped == 1)
    }
}

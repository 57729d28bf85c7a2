import Glibc
import LabTestSupport
import Testing

@testable import HostSystem

/// A guest's end of a link: a datagram socket bound at a path, as QEMU makes it.
private final class Station: Sendable {
    let path: String
    private let socket: OwnedDescriptor
    private let readiness: Readiness

    init(_ path: String) throws {
        self.path = path
        let address = try UnixAddress(path)
        let socket = try StreamSocket.makeSocket(SOCK_DGRAM)
        try systemCall("bind") { address.with { bind(socket.number, $0, $1) } }
        try socket.setNonBlocking()
        readiness = try Readiness(of: socket.number)
        self.socket = socket
    }

    deinit { readiness.end() }

    func send(_ frame: [UInt8], to path: String) throws {
        let address = try UnixAddress(path)
        try systemCall("sendto") { address.with { sendto(socket.number, frame, frame.count, 0, $0, $1) } }
    }

    /// The next frame; waits for at most ten seconds.
    func receive() async throws -> [UInt8] {
        try await withDeadline(.now + .seconds(10)) { [self] in
            while true {
                if let frame = receiveNow() { return frame }
                try await readiness.readable()
            }
        }
    }

    func receiveNow() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 2000)
        let count = recv(socket.number, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count >= 0 ? Array(buffer[..<count]) : nil
    }
}

@Suite("Ethernet switch", .timeLimit(.minutes(1)))
struct EthernetSwitchTests {
    private static let everyone = [UInt8](repeating: 0xff, count: 6)

    private func card(_ number: UInt8) -> [UInt8] { [0x52, 0x54, 0, 0, 0, number] }

    private func frame(to target: [UInt8], from source: [UInt8], _ text: String = "") -> [UInt8] {
        target + source + [0x88, 0xb5] + Array(text.utf8)
    }

    private func withStations(
        _ count: Int, _ body: (EthernetSwitch, [Station]) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            let hub = try EthernetSwitch(path: folder + "/switch")
            let stations = try (0..<count).map { try Station("\(folder)/s\($0)") }
            for station in stations { try hub.attach(station.path) }
            try await body(hub, stations)
            hub.close()
            #expect(access(folder + "/switch", F_OK) != 0)
        }
    }

    @Test("A broadcast reaches everyone else, also who never spoke; then addresses are known")
    func learning() async throws {
        try await withStations(3) { hub, stations in
            let hello = frame(to: Self.everyone, from: card(0), "who is there?")
            try stations[0].send(hello, to: hub.path)
            #expect(try await stations[1].receive() == hello)
            #expect(try await stations[2].receive() == hello)
            let answer = frame(to: card(0), from: card(1), "I am")
            try stations[1].send(answer, to: hub.path)
            #expect(try await stations[0].receive() == answer)
            // Still unknown: everyone gets it.
            let search = frame(to: card(2), from: card(0), "two?")
            try stations[0].send(search, to: hub.path)
            #expect(try await stations[1].receive() == search)
            #expect(try await stations[2].receive() == search)
            #expect(
                hub.statistics == EthernetSwitch.Statistics(received: 3, forwarded: 1, flooded: 2, dropped: 0))
            #expect(stations.allSatisfy { $0.receiveNow() == nil })
        }
    }

    @Test("Strangers and scraps are dropped")
    func refused() async throws {
        try await withStations(2) { hub, stations in
            let stranger = try Station(stations[0].path + "x")
            try stranger.send(frame(to: Self.everyone, from: card(9)), to: hub.path)
            try stations[0].send([1, 2, 3], to: hub.path)
            try stations[0].send(frame(to: Self.everyone, from: card(0)), to: hub.path)
            _ = try await stations[1].receive()
            #expect(hub.statistics == EthernetSwitch.Statistics(received: 1, forwarded: 0, flooded: 1, dropped: 2))
        }
    }

    @Test("A port that takes nothing, or is not there, holds up nobody")
    func slowPort() async throws {
        try await withStations(3) { hub, stations in
            try hub.attach(stations[0].path + "-not-there")
            let total = 2000
            for number in 0..<total {
                let wanted = frame(to: Self.everyone, from: card(0), "\(number)")
                // The switch may be slower than we are for a moment: then the kernel says EAGAIN.
                while true {
                    do {
                        try stations[0].send(wanted, to: hub.path)
                        break
                    } catch let error as SystemCallError where error.errno == EAGAIN { await Task.yield() }
                }
                #expect(try await stations[1].receive() == wanted)
            }
            #expect(try await eventually { hub.statistics.dropped > total })
            #expect(try await stations[2].receive() == frame(to: Self.everyone, from: card(0), "0"))
        }
    }

    @Test("A guest that comes back at its path is reached again")
    func comesBack() async throws {
        try await withTemporaryFolder { folder in
            let hub = try EthernetSwitch(path: folder + "/switch")
            defer { hub.close() }
            let one = try Station(folder + "/one")
            try hub.attach(one.path)
            try hub.attach(folder + "/two")
            for _ in 0..<3 {
                let two = try Station(folder + "/two")
                let reached = try await eventually {
                    // On a busy host the switch may be late to empty its queue: then the next turn sends.
                    try? one.send(frame(to: Self.everyone, from: card(1)), to: hub.path)
                    return two.receiveNow() != nil
                }
                #expect(reached)
                unlink(two.path)
            }
        }
    }
}

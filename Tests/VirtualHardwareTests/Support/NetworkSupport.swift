import Foundation
import Glibc
import HostSystem
import Synchronization
import Testing

@testable import VirtualHardware

/// A reactor with a thread, for as long as this object lives.
final class RunningReactor: Sendable {
    let reactor: Reactor

    init() throws {
        let reactor = try Reactor()
        self.reactor = reactor
        Thread.detachNewThread { reactor.run() }
    }

    deinit { reactor.stop() }

    /// Returns when the reactor has gone through some rounds, so that what is ready has been handled.
    func settle() {
        for _ in 0..<5 {
            let done = DispatchSemaphore(value: 0)
            reactor.perform { done.signal() }
            _ = done.wait(timeout: .now() + 10)
        }
    }
}

/// A cable whose other end is the test.
final class ScriptedPort: FramePort {
    private struct State {
        var incoming: [[UInt8]] = []
        var outgoing: [[UInt8]] = []
        var isFull = false
        var looks = 0
    }

    private let state = Mutex(State())
    private let readable: EventDescriptor
    private let writable: EventDescriptor

    init() throws {
        readable = try EventDescriptor()
        writable = try EventDescriptor()
        // A counter at its limit is not writable.
        var most = UInt64.max - 1
        _ = write(writable.number, &most, 8)
    }

    /// What the device has sent.
    var sent: [[UInt8]] { state.withLock { $0.outgoing } }
    /// How often the device looked for a frame.
    var looks: Int { state.withLock { $0.looks } }

    /// A frame comes in.
    func deliver(_ frame: [UInt8]) {
        state.withLock { $0.incoming.append(frame) }
        readable.signal()
    }

    func setFull(_ isFull: Bool) {
        state.withLock { $0.isFull = isFull }
        if !isFull { writable.drain() }
    }

    var number: Int32 { readable.number }

    func send(_ frame: UnsafeRawBufferPointer) -> Sent {
        state.withLock { state in
            if state.isFull { return .full }
            state.outgoing.append(Array(frame))
            return .delivered
        }
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        state.withLock { state in
            state.looks += 1
            guard !state.incoming.isEmpty else {
                readable.drain()
                return nil
            }
            let frame = state.incoming.removeFirst()
            buffer.copyBytes(from: frame.prefix(buffer.count))
            return min(frame.count, buffer.count)
        }
    }

    func sendable() -> Int32 { writable.number }
}

/// A network card's driver in a test.
struct NetworkDriver {
    let driver: ScriptedDriver
    let device: NetworkDevice

    init(_ port: any FramePort, _ reactor: Reactor, address: String = "52:54:00:00:00:01") throws {
        let address = try #require(EthernetAddress(address))
        device = try NetworkDevice(address: address, port: port, reactor: reactor)
        driver = try ScriptedDriver(device)
        try start()
    }

    func start() throws {
        try driver.start(device.features.union([.version1, .eventIndex]), queueSize: 128)
    }

    /// Lends a receive buffer.
    func lend(_ count: Int = 12 + 1518) throws -> ScriptedBuffer {
        let buffer = driver.writable(count)
        try driver.post([buffer], to: NetworkDevice.receiveQueue)
        return buffer
    }

    /// Sends a frame with an empty header.
    func send(_ frame: [UInt8]) throws {
        try driver.post(
            [driver.readable([UInt8](repeating: 0, count: 12)), driver.readable(frame)], to: NetworkDevice.sendQueue)
    }

    /// The frame in a buffer that came back next; fails when that is another one.
    func received(_ buffer: ScriptedBuffer) throws -> [UInt8] {
        let element = try driver.used(NetworkDevice.receiveQueue)
        let bytes = try driver.bytes(buffer).prefix(Int(element.written))
        #expect(Array(bytes.prefix(12)) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0])
        return Array(bytes.dropFirst(12))
    }

    /// As `received`, without holding up Swift's threads, which the switch needs.
    func receivedLater(_ buffer: ScriptedBuffer) async throws -> [UInt8] {
        let queue = driver.queues[NetworkDevice.receiveQueue]
        while try queue.usedIndex() == queue.seen {
            let line = driver.line
            guard try await HostThread.run("line", { _ in line.wait() }) else { break }
            _ = line.take()
        }
        return try received(buffer)
    }
}

import Glibc
import HostSystem
import Synchronization
import Testing

@testable import VirtualHardware

/// A reactor on a thread of its own until the test is over.
private final class RunningReactor: Sendable {
    let reactor: Reactor
    private let thread: Mutex<pthread_t?>

    init() throws {
        let reactor = try Reactor()
        self.reactor = reactor
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(reactor).toOpaque()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Reactor>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument)
        try #require(result == 0)
        self.thread = Mutex(thread)
    }

    /// Returns when the thread has ended.
    func stop() {
        reactor.stop()
        thread.withLock { thread in
            if let running = thread.take() { pthread_join(running, nil) }
        }
    }

    deinit { stop() }
}

extension UARTDriver {
    /// Writes as a driver that looks at the line status does; false when it had to wait for half a minute.
    fileprivate func write(_ bytes: [UInt8]) -> Bool {
        let deadline = ContinuousClock.now + .seconds(30)
        for byte in bytes {
            while !isTransmitterEmpty {
                if ContinuousClock.now > deadline { return false }
                sched_yield()
            }
            self[.data] = byte
        }
        return true
    }

    /// Reads so many bytes as a driver that polls does; fewer when they did not come in half a minute.
    fileprivate func read(_ count: Int) -> [UInt8] {
        let deadline = ContinuousClock.now + .seconds(30)
        var bytes: [UInt8] = []
        while bytes.count < count && ContinuousClock.now < deadline {
            if self[.lineStatus] & 1 != 0 { bytes.append(self[.data]) } else { sched_yield() }
        }
        return bytes
    }
}

@Suite("Serial ports of the host", .serialized, .timeLimit(.minutes(1)))
struct SerialPortTests {
    private func read(_ socket: StreamSocket, _ count: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let next = try await socket.read()
            if next.isEmpty { break }
            bytes += next
        }
        return bytes
    }

    private let pattern = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

    @Test("A connected socket: all output and all input arrive in order, however slow the other side is")
    func socket() async throws {
        let host = try RunningReactor()
        let driver = UARTDriver(outputLimit: 4096, inputLimit: 512)
        let pair = try DescriptorPair.socketPair()
        let port = try SerialPort(
            driver.uart, to: .socket(pair.first), on: host.reactor)
        let socket = try StreamSocket(owning: pair.second)
        async let sent = socket.write(pattern)
        let text = pattern
        let guest = Task.detached { (driver.write(text), driver.read(text.count)) }
        #expect(try await read(socket, text.count) == text)
        try await sent
        let (wrote, received) = await guest.value
        #expect(wrote)
        #expect(received == text)
        #expect(driver.uart.droppedOutput == 0)
        port.close()
    }

    @Test("A socket whose other side has gone is let go; the guest never waits for it")
    func hangUp() async throws {
        let host = try RunningReactor()
        let driver = UARTDriver(outputLimit: 256)
        let pair = try DescriptorPair.socketPair()
        let port = try SerialPort(
            driver.uart, to: .socket(pair.first), on: host.reactor)
        let last = Array("poweroff\n".utf8)
        let other = pair.second
        try #require(write(other.number, last, last.count) == last.count)
        _ = consume other
        #expect(driver.read(last.count) == last, "what was sent before is still read")
        #expect(driver.write(pattern))
        port.close()
    }

    @Test(
        "A late client gets the history first, a second one is told that the port is busy, a third comes after the first"
    )
    func listener() async throws {
        let host = try RunningReactor()
        let driver = UARTDriver(outputLimit: 4096)
        let path = "/tmp/vmlab-serial-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        defer { unlink(path) }
        let port = try SerialPort(
            driver.uart, to: .listener(try ListeningSocket.bind(path: path)), on: host.reactor, history: 1000)
        #expect(driver.write(pattern), "without a client nothing waits")
        let tail = Array("ready\n".utf8)
        #expect(driver.write(tail))
        #expect(port.drainNow(until: .now + .seconds(10)))
        let first = try StreamSocket.connect(to: path)
        #expect(try await read(first, 1000) == Array((pattern + tail).suffix(1000)))
        let second = try StreamSocket.connect(to: path)
        let refusal = String(decoding: try await read(second, .max), as: UTF8.self)
        #expect(refusal.contains("busy"))
        try await first.write(Array("ls\n".utf8))
        #expect(driver.read(3) == Array("ls\n".utf8))
        #expect(driver.write(tail))
        #expect(try await read(first, tail.count) == tail)
        first.close()
        var third: [UInt8] = []
        // The port sees the first go in its own time; until then it is busy.
        let deadline = ContinuousClock.now + .seconds(30)
        while third.count != 1000 && ContinuousClock.now < deadline {
            third = try await read(try StreamSocket.connect(to: path), 1000)
        }
        #expect(third == Array((pattern + tail + tail).suffix(1000)))
        port.close()
    }

    @Test("A pipe or file as terminal: input is read to its end, output drained by a deadline")
    func pipes() async throws {
        signal(SIGPIPE, SIG_IGN)
        let host = try RunningReactor()
        let driver = UARTDriver(outputLimit: 1 << 20, inputLimit: 64)
        var input = try DescriptorPair.pipe()
        var output = try DescriptorPair.pipe()
        let port = try SerialPort(
            driver.uart, to: .terminal(input: input.first.number, output: output.second.number, onQuit: nil),
            on: host.reactor)
        let typed = Array(pattern.prefix(5000))
        try #require(write(input.second.number, typed, typed.count) == typed.count)
        input.second.close()
        #expect(driver.read(typed.count) == typed)
        // A pipe holds 64 KiB and nobody reads it: the rest waits, and draining gives up in time.
        #expect(driver.write(pattern))
        #expect(!port.drainNow(until: .now + .milliseconds(20)))
        #expect(fcntl(output.second.number, F_GETFL) & O_NONBLOCK == 0, "the user's own descriptor is as it was")
        output.first.close()
        #expect(port.drainNow(until: .now + .seconds(10)), "a reader who is gone is not waited for")
        host.stop()
    }

    @Test("Control-A x quits, control-A twice types one")
    func escape() {
        let quits = Atomic(0)
        var key = EscapeKey { quits.add(1, ordering: .relaxed) }
        #expect(key.filter([97, 1]) == [97])
        #expect(key.filter([1, 98]) == [1, 98])
        #expect(quits.load(ordering: .relaxed) == 0)
        #expect(key.filter([1, 120, 120]) == [120])
        #expect(quits.load(ordering: .relaxed) == 1)
    }
}

import HostSystem
import Testing

@testable import VirtualHardware

@Suite("Virtio entropy", .timeLimit(.minutes(1)))
struct EntropyDeviceTests {
    private let running: RunningReactor
    private let driver: ScriptedDriver

    init() throws {
        running = try RunningReactor()
        driver = try ScriptedDriver(EntropyDevice(reactor: running.reactor))
        try driver.start(queueSize: 64)
    }

    @Test("Every buffer is filled to its end, and nothing else")
    func fills() throws {
        for count in [1, 7, 64, 4096, 65536] {
            let (buffer, fence) = (driver.writable(count), driver.writable(16))
            #expect(try driver.request([buffer]) == count)
            let bytes = try driver.bytes(buffer)
            if count >= 64 { #expect(Set(bytes).count > 16) }
            #expect(try driver.bytes(fence).allSatisfy { $0 == 0 })
        }
    }

    @Test("A request gets 64 KiB at most; one with nothing to write, nothing")
    func limits() throws {
        let pieces = [driver.writable(1000), driver.writable(100_000)]
        #expect(try driver.request(pieces) == 65536)
        #expect(try driver.bytes(pieces[1])[64536...].allSatisfy { $0 == 0 })
        let readable = try driver.readable([1, 2, 3])
        #expect(try driver.request([readable]) == 0)
        #expect(try driver.bytes(readable) == [1, 2, 3])
        #expect(try driver.request([readable, driver.writable(5)]) == 5)
    }

    @Test("More requests than one round takes are all served")
    func rounds() throws {
        let queue = driver.queues[0]
        for _ in 0..<64 { _ = try queue.post([driver.writable(100)]) }
        driver.transport.notify(queue: 0)
        for _ in 0..<64 { #expect(try driver.used().written == 100) }
    }

    @Test("A broken queue stops it until it is reset")
    func broken() throws {
        try driver.queues[0].makeAvailable(64)
        driver.transport.notify(queue: 0)
        #expect(driver.status.contains(.needsReset))
        try driver.start(queueSize: 8)
        #expect(try driver.request([driver.writable(8)]) == 8)
    }
}

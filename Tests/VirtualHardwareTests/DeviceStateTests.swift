import HostSystem
import Testing

@testable import VirtualHardware

@Suite("Devices' state")
struct DeviceStateTests {
    /// What `device` writes down.
    private func saved(_ device: some StatefulDevice) throws -> [UInt8] {
        var encoder = StateEncoder()
        try device.save(to: &encoder)
        return encoder.bytes
    }

    private func restore(_ device: some StatefulDevice, _ bytes: [UInt8]) throws {
        var decoder = StateDecoder(bytes)
        try device.restore(from: &decoder)
        try decoder.finish()
    }

    /// Every cut of a state is refused, and so is one with a byte too many.
    private func expectTornRefused(_ device: some StatefulDevice, _ bytes: [UInt8]) {
        for count in 0..<bytes.count {
            #expect(throws: StateError.self, "the first \(count) bytes") {
                try restore(device, Array(bytes.prefix(count)))
            }
        }
        #expect(throws: StateError("1 bytes too many")) { try restore(device, bytes + [0]) }
    }

    // MARK: UART

    private func uart(_ line: CountingLine, sends: @escaping @Sendable () -> Void = {}) -> UART16550 {
        UART16550(
            interrupt: line,
            owner: UART16550.Owner(hasOutput: {}, wantsInput: {}, sendsByInterrupt: sends))
    }

    @Test("A serial port goes on with its registers and its input, and interrupts for it again")
    func serial() throws {
        let port = uart(CountingLine())
        for (offset, value) in [(3, 0x83), (0, 12), (1, 0), (3, 3), (2, 1), (4, 0xb), (1, 3), (7, 0x5a)]
            as [(UInt64, UInt64)]
        {
            port.write(value, at: offset, width: 1)
        }
        port.write(0x41, at: 0, width: 1)
        port.receive([1, 2, 3])
        #expect(port.read(at: 0, width: 1) == 1)

        let bytes = try saved(port)
        let line = CountingLine()
        let told = EventCount()
        let copy = uart(line) { told.add() }
        try restore(copy, bytes)
        #expect(line.take() == 1, "input waits")
        #expect(told.value == 1, "its driver sends by interrupt")
        #expect(try saved(copy) == bytes)
        #expect(copy.read(at: 7, width: 1) == 0x5a)
        #expect([copy.read(at: 0, width: 1), copy.read(at: 0, width: 1)] == [2, 3])
        #expect(copy.takeOutput(10) == [], "what the first port's host gets is not said twice")
        #expect(port.takeOutput(10) == [0x41])
        copy.write(0x83, at: 3, width: 1)
        #expect(copy.read(at: 0, width: 1) == 12)
        expectTornRefused(copy, bytes)
    }

    @Test("A transmitter that waited for room is empty where the port goes on, and says so")
    func transmitter() throws {
        let port = uart(CountingLine())
        port.write(0xb, at: 4, width: 1)
        for _ in 0...UART16550.outputLimit { port.write(0x2e, at: 0, width: 1) }
        #expect(port.read(at: 5, width: 1) & 0x20 == 0)
        port.write(2, at: 1, width: 1)
        let line = CountingLine()
        let copy = uart(line)
        try restore(copy, try saved(port))
        #expect(line.take() == 1)
        #expect(copy.read(at: 5, width: 1) & 0x20 == 0x20)
        #expect(copy.read(at: 2, width: 1) & 0xf == 2)
    }

    // MARK: Power

    @Test("A power button that was pressed is told of again")
    func power() throws {
        let power = PowerRegisters(interrupt: CountingLine(), onPowerOff: {}, onReset: {})
        power.pressPowerButton()
        let line = CountingLine()
        let copy = PowerRegisters(interrupt: line, onPowerOff: {}, onReset: {})
        try restore(copy, try saved(power))
        #expect(line.take() == 1)
        let offset = PowerRegisters.Offset.eventStatus
        #expect(copy.read(at: offset, width: 1) == 1)
        expectTornRefused(copy, try saved(power))
    }

    // MARK: Virtio

    @Test("A virtio device goes on with its queues where it was, at once with what waits there")
    func queues() throws {
        let driver = try ScriptedDriver(EchoDevice())
        try driver.start()
        for text in ["one", "two", "three"] {
            let target = driver.writable(8)
            _ = try driver.request([try driver.readable(Array(text.utf8)), target])
            #expect(try driver.bytes(target).starts(with: Array(text.utf8)))
        }
        driver.write(driver.read(.interruptStatus), .interruptAcknowledge)
        driver.transport.pause()
        let target = driver.writable(4)
        try driver.post([try driver.readable(Array("four".utf8)), target])
        let bytes = try saved(driver.transport)

        // Another device over the same memory: what a restored machine has, too.
        let line = CountingLine()
        let echo = EchoDevice()
        let copy = VirtioMMIOTransport(device: echo, memory: driver.memory, interrupt: line)
        try restore(copy, bytes)
        #expect(echo.events.last == "activate 8")
        #expect(try saved(copy) == bytes)
        copy.notify(queue: 0)
        #expect(try driver.queues[0].takeUsed()?.written == 4)
        #expect(try driver.bytes(target) == Array("four".utf8))
        #expect(line.take() == 1)
        for register in [VirtioRegister.status, .queueReady] {
            #expect(copy.read(at: register.rawValue, width: 4) == UInt64(driver.read(register)))
        }
        expectTornRefused(copy, bytes)
    }

    @Test("What is pending is signalled again, and a device that needs a reset still does")
    func pending() throws {
        let driver = try ScriptedDriver(EchoDevice())
        try driver.start()
        driver.transport.signals.usedBuffers()
        driver.transport.signals.fail(.size(3))
        let line = CountingLine()
        let copy = VirtioMMIOTransport(device: EchoDevice(), memory: driver.memory, interrupt: line)
        try restore(copy, try saved(driver.transport))
        #expect(line.take() == 1)
        #expect(copy.read(at: VirtioRegister.interruptStatus.rawValue, width: 4) == 3)
        #expect(copy.read(at: VirtioRegister.status.rawValue, width: 4) & 64 == 64)
    }

    @Test("A device that has not met its driver yet, or was given up, stays so")
    func fresh() throws {
        let driver = try ScriptedDriver(EchoDevice())
        driver.negotiate([.version1])
        let echo = EchoDevice()
        let copy = VirtioMMIOTransport(device: echo, memory: driver.memory, interrupt: CountingLine())
        try restore(copy, try saved(driver.transport))
        #expect(!echo.events.contains { $0.hasPrefix("activate") })
        #expect(copy.read(at: VirtioRegister.status.rawValue, width: 4) == UInt64(driver.status.rawValue))
        copy.resume()
        #expect(!echo.events.contains { $0.hasPrefix("activate") })
    }

    @Test("Rings that lie outside of memory are the driver's fault also in a state from elsewhere")
    func strayRings() throws {
        let driver = try ScriptedDriver(EchoDevice(), memory: 4 << 20)
        try driver.start()
        let small = try GuestMemory(ranges: [0..<4096])
        let copy = VirtioMMIOTransport(device: EchoDevice(), memory: small, interrupt: CountingLine())
        try restore(copy, try saved(driver.transport))
        #expect(copy.signals.violations.count == 1)
    }

    @Test("A disk of another size is refused")
    func disks() throws {
        let files = try TemporaryFiles()
        let small = try files.make("small", [UInt8](repeating: 0, count: 4096))
        let large = try files.make("large", [UInt8](repeating: 0, count: 8192))
        func disk(_ storage: any BlockStorage) throws -> BlockDriver { try BlockDriver(storage) }
        let first = try disk(RawStorage(path: small, readOnly: false))
        first.driver.transport.pause()
        let bytes = try saved(first.driver.transport)
        let other = try disk(RawStorage(path: large, readOnly: false))
        #expect(throws: StateError.self) { try restore(other.driver.transport, bytes) }
    }

    @Test("A disk that was paused goes on with what was asked meanwhile")
    func diskGoesOn() throws {
        let files = try TemporaryFiles()
        let path = try files.make("disk", [UInt8](repeating: 0, count: 4096))
        let disk = try BlockDriver(RawStorage(path: path, readOnly: false))
        try disk.write(1, [UInt8](repeating: 7, count: 512))
        disk.driver.transport.pause()
        let (target, status) = (disk.driver.writable(512), disk.driver.writable(1))
        try disk.driver.post([try disk.driver.readable(BlockDriver.header(0, 1)), target, status])
        #expect(try disk.driver.queues[0].takeUsed() == nil)
        disk.driver.transport.resume()
        #expect(try disk.driver.used().written == 513)
        #expect(try disk.driver.bytes(target) == [UInt8](repeating: 7, count: 512))
    }

    @Test("A card that is paused loses neither the frame that it was sending nor the buffer that it had")
    func network() throws {
        let (running, port) = (try RunningReactor(), try ScriptedPort())
        let card = try NetworkDriver(port, running.reactor)
        let first = try card.lend()
        running.settle()
        port.setFull(true)
        let frame = (0..<60).map { UInt8($0) }
        try card.send(frame)
        running.settle()
        card.driver.transport.pause()
        let bytes = try saved(card.driver.transport)
        port.setFull(false)

        let other = try ScriptedPort()
        let address = try #require(EthernetAddress("52:54:00:00:00:02"))
        let clone = try NetworkDevice(address: address, port: other, reactor: running.reactor)
        let copy = VirtioMMIOTransport(device: clone, memory: card.driver.memory, interrupt: card.driver.line)
        try restore(copy, bytes)
        #expect(other.sent == [frame])
        other.deliver(frame)
        #expect(try card.received(first) == frame)
        withExtendedLifetime(copy) {}
    }
}

/// Counts calls from any thread.
private final class EventCount: Sendable {
    private let count = Monitor(0)
    var value: Int { count.withLock { $0 } }
    func add() { count.withLock { $0 += 1 } }
}

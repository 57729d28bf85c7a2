import Testing
import VirtualHardware

/// Ways of a driver to break a queue, each on a device that was brought up.
private enum Breakage: String, CaseIterable, Sendable {
    case availableJump, headOutOfRange, nextOutOfRange, loop, overlong, overflow, outsideRAM, readableAfterWritable
    case indirect

    func apply(_ driver: ScriptedDriver) throws {
        let flag = ScriptedDriver.Flag.self
        switch self {
        case .availableJump: try driver.memory.store(UInt16(17), at: driver.queues[0].available + 2)
        case .headOutOfRange: try driver.publish(16)
        case .nextOutOfRange: try driver.put(0, address: 0, count: 8, flags: flag.writable | flag.next, next: 0xffff)
        case .loop: try driver.put(0, address: 0, count: 8, flags: flag.writable | flag.next, next: 0)
        case .overlong:
            for index in 0..<8 as Range<UInt16> {
                try driver.put(index, address: 0, count: 15 << 20, flags: flag.writable | flag.next, next: index + 1)
            }
        case .overflow: try driver.put(0, address: .max - 3, count: 8, flags: flag.writable)
        case .outsideRAM: try driver.put(0, address: ScriptedDriver.ram - 4, count: 8, flags: flag.writable)
        case .readableAfterWritable:
            try driver.put(0, address: 0, count: 8, flags: flag.writable | flag.next, next: 1)
            try driver.put(1, address: 0, count: 8)
        case .indirect: try driver.put(0, address: 0, count: 16, flags: flag.indirect)
        }
        if self != .availableJump && self != .headOutOfRange { try driver.publish(0) }
    }
}

@Suite("Virtqueue and transport") struct VirtqueueTests {
    @Test("A driver negotiates, and only with version 1 and features that were offered")
    func negotiation() throws {
        let driver = try ScriptedDriver(EntropyDevice())
        #expect(driver.read(0) == 0x7472_6976)
        #expect(driver.read(4) == 2)
        #expect(driver.read(8) == 4)
        #expect(!driver.negotiate(0))
        #expect(!driver.negotiate(ScriptedDriver.version1 | 1 << 40))
        #expect(driver.negotiate())
        // A queue is only set up after the negotiation, and not once the driver is ready.
        driver.write(ScriptedDriver.Register.status, 0)
        driver.write(ScriptedDriver.Register.queueReady, 1)
        #expect(driver.read(ScriptedDriver.Register.queueReady) == 0)
        driver.start()
        #expect(driver.status == 15)
        driver.write(ScriptedDriver.Register.queueReady, 0)
        driver.write(ScriptedDriver.Register.queueSelect, 0)
        #expect(driver.read(ScriptedDriver.Register.queueReady) == 1)
        // Bits are never taken back but by a reset.
        driver.write(ScriptedDriver.Register.status, 1)
        #expect(driver.status == 15)
        driver.write(ScriptedDriver.Register.status, 0)
        #expect(driver.status == 0)
    }

    @Test("A queue where none can be makes the device ask for its reset", arguments: 0..<6)
    func badLayout(number: Int) throws {
        let driver = try ScriptedDriver(EntropyDevice())
        driver.negotiate()
        let layouts: [(UInt16, UInt64, UInt64, UInt64)] = [
            (0, 0x1000, 0x2000, 0x3000), (3, 0x1000, 0x2000, 0x3000), (128, 0x1000, 0x2000, 0x3000),
            (16, 0x1008, 0x2000, 0x3000), (16, 0x1000, ScriptedDriver.ram - 8, 0x3000), (16, 0x1000, 0x2000, .max - 3),
        ]
        let (size, descriptors, available, used) = layouts[number]
        driver.setUp(0, .init(size: size, descriptors: descriptors, available: available, used: used))
        driver.write(ScriptedDriver.Register.status, 15)
        #expect(driver.needsReset)
        driver.ring()
        driver.start()
        #expect(try driver.run([], writable: [8]).written == 8)
    }

    @Test("A broken queue stops the device until its reset, and nothing else", arguments: Breakage.allCases)
    fileprivate func broken(breakage: Breakage) throws {
        let driver = try ScriptedDriver(EntropyDevice())
        driver.start()
        try breakage.apply(driver)
        driver.ring()
        #expect(driver.needsReset)
        #expect(driver.read(ScriptedDriver.Register.interruptStatus) & 2 == 2)
        #expect(driver.line.take() == 1)
        #expect(try driver.takeUsed() == nil)
        driver.start()
        #expect(try driver.run([], writable: [8]).written == 8)
    }

    @Test("Indexes wrap at 65536")
    func wraps() throws {
        let driver = try ScriptedDriver(EntropyDevice())
        driver.start()
        try driver.put(0, address: 0x8000, count: 1, flags: ScriptedDriver.Flag.writable)
        for number in 0..<70000 {
            try driver.publish(0)
            driver.ring()
            guard try driver.takeUsed()?.written == 1 else {
                Issue.record("request \(number) was lost")
                return
            }
        }
    }

    @Test("With event indexes an interrupt comes when the driver asked for it")
    func eventIndex() throws {
        let driver = try ScriptedDriver(EntropyDevice())
        driver.start(ScriptedDriver.version1 | ScriptedDriver.eventIndex)
        // Interrupt at the third used buffer.
        try driver.memory.store(UInt16(2), at: driver.queues[0].available + 4 + 2 * 16)
        for expected in [0, 0, 1, 0] {
            try driver.add([], writable: [4])
            driver.ring()
            #expect(driver.line.take() == expected)
        }
    }

    @Test("Without event indexes a flag keeps interrupts off")
    func noInterrupt() throws {
        let driver = try ScriptedDriver(EntropyDevice())
        driver.start()
        try driver.memory.store(UInt16(1), at: driver.queues[0].available)
        try driver.add([], writable: [4])
        driver.ring()
        #expect(driver.line.take() == 0)
        #expect(try driver.takeUsed() != nil)
    }

    @Test("Registers of any width and offset are answered")
    func oddAccesses() throws {
        let driver = try ScriptedDriver(EntropyDevice())
        for width in [1, 2, 4, 8] {
            for offset in [0, 1, 0x50, 0xfc, 0x100, 0xfff, UInt64.max] {
                driver.transport.write(.max, at: offset, width: width)
                _ = driver.transport.read(at: offset, width: width)
            }
        }
        driver.start()
        #expect(try driver.run([], writable: [8]).written == 8)
    }
}

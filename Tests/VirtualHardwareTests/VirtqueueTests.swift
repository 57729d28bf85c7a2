import HostSystem
import Testing

@testable import VirtualHardware

@Suite("Virtqueue")
struct VirtqueueTests {
    @Test("A chain of any number of pieces goes through and back", arguments: [true, false])
    func roundTrip(eventIndex: Bool) throws {
        let driver = try ScriptedDriver(EchoDevice())
        try driver.start(eventIndex ? [.version1, .eventIndex] : [.version1])
        let (first, second) = (driver.writable(3), driver.writable(10))
        let written = try driver.request([
            driver.readable([1, 2]), driver.readable([]), driver.readable([3, 4, 5]), first, second,
        ])
        #expect(written == 5)
        #expect(try driver.bytes(first) == [1, 2, 3])
        #expect(try driver.bytes(second) == [4, 5, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(driver.transport.signals.violations.count == 0)
    }

    @Test("Indices wrap at 65536, and every chain comes back once", arguments: [true, false])
    func wrap(eventIndex: Bool) throws {
        let driver = try ScriptedDriver(EchoDevice())
        try driver.start(eventIndex ? [.version1, .eventIndex] : [.version1])
        let (source, target) = (try driver.readable([0, 0, 0, 0]), driver.writable(4))
        for number in 0..<70_000 as Range<UInt32> {
            try driver.memory.store(number, at: source.address)
            let head = try driver.post([source, target])
            let element = try driver.queues[0].takeUsed()
            let echo = try driver.memory.load(UInt32.self, at: target.address)
            try #require(element == UsedElement(head: UInt32(head), written: 4) && echo == number)
        }
        #expect(try driver.queues[0].usedIndex() == 4464, "70,000 modulo 65,536")
    }

    @Test("With the event index the driver is interrupted when it asked to be, also across the wrap")
    func eventIndex() throws {
        let driver = try ScriptedDriver(EchoDevice())
        try driver.start()
        let queue = driver.queues[0]
        let buffer = try driver.readable([1])
        var pattern: Set<[Int]> = []
        for _ in 0..<30_000 {
            // The third of four is the one asked for.
            try queue.wantInterrupt(after: 2)
            pattern.insert(
                try (0..<4).map { _ in
                    _ = try queue.post([buffer])
                    driver.transport.notify(queue: 0)
                    return driver.line.take()
                })
            while try queue.takeUsed() != nil {}
        }
        #expect(pattern == [[0, 0, 1, 0]])
    }

    @Test("Chains that come together cost one interrupt")
    func batch() throws {
        let driver = try ScriptedDriver(EchoDevice())
        try driver.start()
        let buffer = try driver.readable([1])
        for _ in 0..<5 { _ = try driver.queues[0].post([buffer]) }
        driver.transport.notify(queue: 0)
        #expect(driver.line.take() == 1)
        #expect(driver.read(.interruptStatus) == 1)
        #expect(try driver.queues[0].usedIndex() == 5)
    }

    @Test("Without the event index a flag stops interrupts")
    func noInterrupt() throws {
        let driver = try ScriptedDriver(EchoDevice())
        try driver.start([.version1])
        try driver.queues[0].setNoInterrupt(true)
        try driver.post([driver.readable([1])])
        #expect(driver.line.take() == 0)
        try driver.queues[0].setNoInterrupt(false)
        try driver.post([driver.readable([1])])
        #expect(driver.line.take() == 1)
    }

    @Test("The driver keeps quiet until the device has seen all, and speaks then")
    func notifications() throws {
        let memory = try GuestMemory(ranges: [0..<0x10000])
        for eventIndex in [true, false] {
            var layout = VirtqueueLayout(size: 4)
            (layout.descriptors, layout.available, layout.used) = (0x1000, 0x2000, 0x3000)
            for place in [layout.available, layout.used] {
                try memory.write([UInt8](repeating: 0, count: 64), at: place)
            }
            let device = try Virtqueue(layout, in: memory, eventIndex: eventIndex)
            let driver = ScriptedQueue(layout, memory, eventIndex: eventIndex)
            let buffer = ScriptedBuffer(address: 0x4000, count: 16, isWritable: true)
            device.disableNotifications()
            _ = try driver.post([buffer])
            if !eventIndex { #expect(try !driver.wantsNotification()) }
            #expect(device.enableNotifications(), "one came before the device asked to be told")
            let chain = try #require(try device.next())
            #expect(try device.next() == nil)
            #expect(!device.enableNotifications())
            _ = try driver.post([buffer])
            #expect(try driver.wantsNotification())
            device.complete(chain.head, written: 16)
            #expect(device.publish())
            #expect(!device.publish(), "there is nothing new to show")
        }
    }

    // MARK: Rings

    @Test("Rings that are not where rings can be are refused")
    func rings() throws {
        let end: UInt64 = 0x10000
        let memory = try GuestMemory(ranges: [0..<end, (1 << 32)..<(1 << 32) + 0x1000])
        func refusal(_ change: (inout VirtqueueLayout) -> Void) -> VirtqueueError? {
            var layout = VirtqueueLayout(size: 16)
            (layout.descriptors, layout.available, layout.used) = (0x1000, 0x2000, 0x3000)
            change(&layout)
            do throws(VirtqueueError) {
                _ = try Virtqueue(layout, in: memory, eventIndex: true)
                return nil
            } catch { return error }
        }
        func outside(_ address: UInt64, _ count: UInt64) -> VirtqueueError {
            .outside(GuestMemoryError(address: address, count: count))
        }
        #expect(refusal { _ in } == nil)
        for size in [0, 3, 6, 0xffff, 0xfffe] as [UInt16] { #expect(refusal { $0.size = size } == .size(size)) }
        #expect(refusal { $0.descriptors = 0x1008 } == .misaligned(address: 0x1008))
        #expect(refusal { $0.available = 0x2001 } == .misaligned(address: 0x2001))
        #expect(refusal { $0.used = 0x3002 } == .misaligned(address: 0x3002))
        // The last byte of RAM is a ring's last byte, and one further is not.
        #expect(refusal { $0.descriptors = end - 256 } == nil)
        #expect(refusal { $0.descriptors = end - 240 } == outside(end - 240, 256))
        #expect(refusal { $0.available = end - 38 } == nil)
        #expect(refusal { $0.available = end - 36 } == outside(end - 36, 38))
        #expect(refusal { $0.used = end - 136 } == nil)
        #expect(refusal { $0.used = end - 132 } == outside(end - 132, 134))
        #expect(refusal { $0.used = 0xffff_ffff_ffff_fffc } == outside(0xffff_ffff_ffff_fffc, 134))
        #expect(refusal { $0.size = 32768 } == outside(0x1000, 16 * 32768))
    }

    // MARK: Hostile drivers

    enum Attack: String, CaseIterable {
        case headOutside, nextOutside, loop, selfLoop, tooManyAvailable, indexBackwards, indirect, readableAfterWritable
        case bufferOutside, bufferAcrossEnd, bufferWraps, tooLong
    }

    @Test(
        "A driver that breaks the rules gets a device that needs a reset, and serves again after it",
        arguments: Attack.allCases)
    func attack(_ attack: Attack) throws {
        let driver = try ScriptedDriver(EchoDevice(), memory: 4 << 30)
        try driver.start(queueSize: 8)
        let good = try driver.readable([1])
        _ = try driver.request([good])
        _ = driver.line.take()
        let expected = try prepare(attack, driver)
        // More that would be good must not be served either.
        driver.transport.notify(queue: 0)
        #expect(driver.transport.signals.violations.count == 1)
        #expect(driver.transport.signals.violations.last == expected)
        #expect(driver.status.contains(.needsReset))
        #expect(driver.read(.interruptStatus) & 2 == 2)
        #expect(driver.line.take() >= 1)
        let index = try driver.queues[0].usedIndex()
        driver.transport.notify(queue: 0)
        #expect(try driver.queues[0].usedIndex() == index)
        #expect(driver.transport.signals.violations.count == 1)
        // And all is well after a reset.
        try driver.start(queueSize: 8)
        #expect(!driver.status.contains(.needsReset))
        #expect(driver.read(.interruptStatus) == 0)
        #expect(try driver.request([good, driver.writable(1)]) == 1)
    }

    /// Does the wrong thing; says which error that is.
    private func prepare(_ attack: Attack, _ driver: ScriptedDriver) throws -> VirtqueueError {
        let queue = driver.queues[0]
        let end: UInt64 = 4 << 30
        let (out, into) = (try driver.readable([1, 2, 3]), driver.writable(3))
        func single(_ address: UInt64, _ count: UInt32) throws {
            try queue.describe(5, ScriptedBuffer(address: address, count: count, isWritable: false))
            try queue.makeAvailable(5)
        }
        switch attack {
        case .headOutside:
            try queue.makeAvailable(8)
            return .noSuchDescriptor(8)
        case .nextOutside:
            try queue.describe(3, out, next: 0xffff)
            try queue.makeAvailable(3)
            return .noSuchDescriptor(0xffff)
        case .loop:
            try queue.describe(1, out, next: 2)
            try queue.describe(2, out, next: 1)
            try queue.makeAvailable(1)
            return .endlessChain(head: 1)
        case .selfLoop:
            try queue.describe(4, into, next: 4)
            try queue.makeAvailable(4)
            return .endlessChain(head: 4)
        case .tooManyAvailable:
            try queue.setAvailable(queue.available &+ 9)
            return .tooManyAvailable(9)
        case .indexBackwards:
            try queue.setAvailable(queue.available &- 1)
            return .tooManyAvailable(0xffff)
        case .indirect:
            try queue.describe(0, out, flags: 4)
            try queue.makeAvailable(0)
            return .indirect(head: 0)
        case .readableAfterWritable:
            try queue.describe(6, into, next: 7)
            try queue.describe(7, out)
            try queue.makeAvailable(6)
            return .readableAfterWritable(head: 6)
        case .bufferOutside:
            try single(0xd000_0000_0000, 4)
            return .outside(GuestMemoryError(address: 0xd000_0000_0000, count: 4))
        case .bufferAcrossEnd:
            try single(end - 3, 4)
            return .outside(GuestMemoryError(address: end - 3, count: 4))
        case .bufferWraps:
            try single(.max - 1, 4)
            return .outside(GuestMemoryError(address: .max - 1, count: 4))
        case .tooLong:
            try single(0, 0x8000_0000)
            return .tooLong(head: 5)
        }
    }

    @Test("The last byte of RAM can be a buffer's last byte")
    func lastByte() throws {
        let driver = try ScriptedDriver(EchoDevice(), memory: 1 << 20)
        try driver.start()
        let last = ScriptedBuffer(address: (1 << 20) - 4, count: 4, isWritable: true)
        #expect(try driver.request([driver.readable([1, 2, 3, 4]), last]) == 4)
        #expect(try driver.bytes(last) == [1, 2, 3, 4])
    }
}

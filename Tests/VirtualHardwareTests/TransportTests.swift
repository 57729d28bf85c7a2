import Glibc
import HostSystem
import Testing

@testable import VirtualHardware

@Suite("Virtio over MMIO")
struct TransportTests {
    @Test("A driver finds out what the device is")
    func identity() throws {
        let driver = try ScriptedDriver(EchoDevice(queueSizes: [16, 64]))
        #expect(driver.read(.magic) == 0x7472_6976)
        #expect(driver.read(.version) == 2)
        #expect(driver.read(.deviceID) == 0x2a)
        #expect(driver.read(.vendorID) == VirtioMMIOTransport.vendor)
        #expect(driver.read(.status) == 0)
        driver.write(0, .deviceFeaturesSelect)
        #expect(driver.read(.deviceFeatures) == 0b101 | 1 << 29)
        driver.write(1, .deviceFeaturesSelect)
        #expect(driver.read(.deviceFeatures) == 1)
        driver.write(2, .deviceFeaturesSelect)
        #expect(driver.read(.deviceFeatures) == 0)
        driver.write(.max, .deviceFeaturesSelect)
        #expect(driver.read(.deviceFeatures) == 0)
        driver.write(1, .queueSelect)
        #expect(driver.read(.queueSizeMax) == 64)
        for none in [2, 0xffff_ffff] as [UInt32] {
            driver.write(none, .queueSelect)
            #expect(driver.read(.queueSizeMax) == 0)
            #expect(driver.read(.queueReady) == 0)
        }
    }

    @Test("Features are accepted only while the driver may choose, and only what was offered")
    func features() throws {
        let driver = try ScriptedDriver(EchoDevice())
        // Before DRIVER nothing is taken.
        driver.add(.acknowledge)
        driver.write(1, .driverFeaturesSelect)
        driver.write(1, .driverFeatures)
        driver.add(.driver)
        driver.add(.featuresOK)
        #expect(driver.status == [.acknowledge, .driver], "no VERSION_1 was accepted")
        // More than was offered.
        driver.negotiate([.version1, VirtioFeatures(rawValue: 1 << 28)])
        #expect(driver.status == [.acknowledge, .driver])
        // The driver may think again, even now.
        driver.write(0, .driverFeaturesSelect)
        driver.write(0b100, .driverFeatures)
        driver.add(.featuresOK)
        #expect(driver.status == [.acknowledge, .driver, .featuresOK])
        // But not any more.
        driver.write(.max, .driverFeatures)
        driver.add(.driverOK)
        #expect(driver.status == [.acknowledge, .driver, .featuresOK, .driverOK])
    }

    @Test("Status bits come in turn, are not taken back, and go with a reset")
    func status() throws {
        let device = EchoDevice()
        let driver = try ScriptedDriver(device)
        driver.write(VirtioStatus.driverOK.rawValue, .status)
        #expect(driver.status == [])
        driver.write(VirtioStatus.driver.rawValue, .status)
        #expect(driver.status == [])
        driver.write(VirtioStatus.needsReset.rawValue, .status)
        #expect(driver.status == [])
        driver.write(0xffff_ff00, .status)
        #expect(driver.status == [])
        try driver.start()
        let running: VirtioStatus = [.acknowledge, .driver, .featuresOK, .driverOK]
        #expect(driver.status == running)
        driver.write(VirtioStatus.acknowledge.rawValue, .status)
        #expect(driver.status == running)
        driver.add(.driverOK)
        #expect(device.events == ["reset", "activate 8"])
        driver.add(.failed)
        #expect(driver.status == running.union(.failed))
        driver.write(0, .status)
        #expect(driver.status == [])
        #expect(device.events == ["reset", "activate 8", "reset"])
        try driver.start(queueSize: 4)
        #expect(device.events.last == "activate 4")
    }

    @Test("Queues are set up between FEATURES_OK and DRIVER_OK, and only before they are ready")
    func queueSetup() throws {
        let device = EchoDevice(queueSizes: [16, 16])
        let driver = try ScriptedDriver(device)
        driver.write(1, .queueReady)
        #expect(driver.read(.queueReady) == 0)
        driver.negotiate([.version1])
        try driver.setUp(0, size: 8)
        #expect(driver.read(.queueReady) == 1)
        // Ready: its size stays.
        driver.write(2, .queueSize)
        driver.add(.driverOK)
        #expect(device.events.last == "activate 8 -")
        driver.write(0, .queueReady)
        #expect(driver.read(.queueReady) == 1)
        #expect(try driver.request([driver.readable([7]), driver.writable(1)]) == 1)
        // The queue that was not set up, and those that are not there.
        for number in [1, 2, 0xffff, 0xffff_ffff] as [UInt32] { driver.write(number, .queueNotify) }
        #expect(driver.transport.signals.violations.count == 0)
    }

    @Test("Rings that cannot be are found at DRIVER_OK", arguments: [0, 3, 32, 0xffff_ffff] as [UInt32])
    func badQueue(size: UInt32) throws {
        let device = EchoDevice()
        let driver = try ScriptedDriver(device)
        driver.negotiate([.version1])
        driver.write(0, .queueSelect)
        driver.write(size, .queueSize)
        driver.write(1, .queueReady)
        driver.add(.driverOK)
        #expect(driver.status.isSuperset(of: [.driverOK, .needsReset]))
        #expect(driver.transport.signals.violations.last == .size(UInt16(clamping: size)))
        #expect(device.events == ["reset"])
        driver.write(0, .queueNotify)
        try driver.start()
        #expect(try driver.request([driver.readable([7]), driver.writable(1)]) == 1)
    }

    @Test("The configuration space reads at any offset and width; beyond it there is nothing")
    func configuration() throws {
        let transport = try ScriptedDriver(EchoDevice()).transport
        #expect(transport.read(at: 0x100, width: 1) & 0xff == 1)
        #expect(transport.read(at: 0x101, width: 2) & 0xffff == 0x0302)
        #expect(transport.read(at: 0x103, width: 4) & 0xffff_ffff == 0x0706_0504)
        #expect(transport.read(at: 0x100, width: 8) == 0x0807_0605_0403_0201)
        #expect(transport.read(at: 0x108, width: 4) & 0xffff_ffff == 0xffff_0a09)
        #expect(transport.read(at: 0x10a, width: 1) & 0xff == 0xff)
        #expect(transport.read(at: 0xff8, width: 8) == .max)
        #expect(transport.read(at: .max, width: 8) == .max)
        transport.write(0, at: 0x100, width: 8)
        #expect(transport.read(at: 0x100, width: 1) & 0xff == 1)
    }

    @Test("Odd widths and offsets read as ones and change nothing")
    func oddAccesses() throws {
        let driver = try ScriptedDriver(EchoDevice())
        try driver.start()
        let transport = driver.transport
        for offset in 0..<0x100 as Range<UInt64> {
            for width in [1, 2, 4, 8] where width != 4 || VirtioRegister(rawValue: offset) == nil {
                #expect(transport.read(at: offset, width: width) == .max)
                transport.write(.max, at: offset, width: width)
                transport.write(0, at: offset, width: width)
            }
        }
        // Registers to be written only.
        #expect(driver.read(.queueNotify) == .max)
        #expect(driver.read(.driverFeatures) == .max)
        #expect(try driver.request([driver.readable([7]), driver.writable(1)]) == 1)
    }

    @Test("A reset with buffers outstanding forgets them; the same rings serve anew", arguments: [true, false])
    func resetMidway(byDriver: Bool) throws {
        let driver = try ScriptedDriver(EchoDevice())
        try driver.start()
        let buffer = try driver.readable([1])
        for _ in 0..<5 { _ = try driver.queues[0].post([buffer]) }
        let old = driver.queues[0]
        if byDriver { driver.write(0, .status) } else { driver.transport.reset() }
        #expect(driver.status == [])
        driver.write(0, .queueNotify)
        driver.transport.notify(queue: 0)
        #expect(try old.usedIndex() == 0)
        #expect(driver.line.take() == 0)
        try driver.start()
        #expect(try driver.request([driver.readable([9]), driver.writable(1)]) == 1)
        #expect(try old.usedIndex() == 0)
    }

    @Test("Many processors at once do no harm")
    func manyThreads() async throws {
        let driver = try ScriptedDriver(EchoDevice(queueSizes: [16, 16]))
        let transport = driver.transport
        await withTaskGroup(of: Void.self) { group in
            for seed in 0..<4 as Range<UInt64> {
                group.addTask {
                    var random = SplitMix(seed: seed)
                    for _ in 0..<20_000 {
                        let offset = random.next() % 0x110
                        let register = random.next() % 3 == 0 ? offset : offset & ~3
                        // Values that get somewhere more often than not.
                        let value = random.next() >> (random.next() % 64)
                        transport.write(value, at: register, width: 4)
                        _ = transport.read(at: register, width: 4)
                    }
                }
            }
        }
        try driver.start()
        #expect(try driver.request([driver.readable([7]), driver.writable(1)]) == 1)
    }
}

/// The same random numbers for the same seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

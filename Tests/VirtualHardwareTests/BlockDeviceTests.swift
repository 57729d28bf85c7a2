import Glibc
import HostSystem
import Testing

@testable import VirtualHardware

@Suite("Virtio disk", .timeLimit(.minutes(1)))
struct BlockDeviceTests {
    @Test("The serial number is 20 bytes, or as many as are asked for")
    func serial() throws {
        for (serial, expected) in [("disk-7", "disk-7"), ("a-serial-number-that-is-long", "a-serial-number-that")] {
            let disk = try BlockDriver(FaultyStorage(), serial: serial)
            let full = try disk.request(BlockRequest.Kind.identifier, read: 20)
            #expect(full.status == 0 && full.written == 21)
            #expect(String(decoding: full.bytes.prefix { $0 != 0 }, as: UTF8.self) == expected)
            let short = try disk.request(BlockRequest.Kind.identifier, read: 4)
            #expect(short.bytes == Array(expected.utf8.prefix(4)) && short.written == 5)
            #expect(try disk.request(BlockRequest.Kind.identifier, read: 64).written == 20)
        }
    }

    @Test("What lies off the disk, or is no whole sector, is an I/O error and touches nothing")
    func outOfRange() throws {
        let storage = FaultyStorage()
        let disk = try BlockDriver(storage)
        let last: UInt64 = 2047
        for (sector, count) in [
            (last, 1024), (last + 1, 512), (.max, 512), (1 << 55, 512), (UInt64.max / 512, 512), (0, 511), (0, 1),
            (5, 513), (0, 2 << 20),
        ] {
            let read = try disk.request(BlockRequest.Kind.read, sector: sector, read: count)
            #expect(read.status == 1 && read.written == 0)
            // The test's memory is small.
            guard count < 1 << 20 else { continue }
            let bytes = [UInt8](repeating: 1, count: count)
            #expect(try disk.request(BlockRequest.Kind.write, sector: sector, write: bytes).status == 1)
        }
        #expect(storage.log == [])
        #expect(try disk.request(BlockRequest.Kind.read, sector: last, read: 512).status == 0)
        #expect(storage.log == ["read 1048064"])
    }

    @Test("What the device does not know is unsupported", arguments: [2, 3, 5, 10, 14, 0xffff_ffff] as [UInt32])
    func unsupported(kind: UInt32) throws {
        let disk = try BlockDriver(FaultyStorage())
        #expect(try disk.request(kind, read: 16).status == 2)
        #expect(try disk.request(BlockRequest.Kind.flush).status == 0)
    }

    @Test("A request without a header or a status byte stops the device")
    func malformed() throws {
        let disk = try BlockDriver(FaultyStorage())
        let driver = disk.driver
        for chain in [
            [try driver.readable([1, 2, 3]), driver.writable(513)],
            [try driver.readable(BlockDriver.header(BlockRequest.Kind.flush, 0))],
        ] {
            let head = try driver.post(chain)
            // The edge of the request before may come as late as now, so no edge tells.
            let deadline = ContinuousClock.now + .seconds(60)
            while !driver.status.contains(.needsReset), ContinuousClock.now < deadline { sched_yield() }
            #expect(driver.status.contains(.needsReset))
            #expect(driver.transport.signals.violations.last == .malformedRequest(head: head))
            #expect(try driver.queues[0].takeUsed() == nil)
            try driver.start(queueSize: 8)
            #expect(try disk.request(BlockRequest.Kind.flush).status == 0)
        }
    }

    @Test("A full disk and a broken one are I/O errors", arguments: [ENOSPC, EIO, EFBIG])
    func hostErrors(errno: Int32) throws {
        let storage = FaultyStorage()
        let disk = try BlockDriver(storage)
        storage.fail(errno)
        #expect(try disk.request(BlockRequest.Kind.read, read: 512).status == 1)
        #expect(try disk.request(BlockRequest.Kind.write, write: [UInt8](repeating: 1, count: 512)).status == 1)
        #expect(try disk.request(BlockRequest.Kind.flush).status == 1)
        let extent = BlockDriver.extent(0, 8)
        #expect(try disk.request(BlockRequest.Kind.discard, write: extent).status == 1)
        #expect(try disk.request(BlockRequest.Kind.writeZeroes, write: extent).status == 1)
        storage.fail(nil)
        #expect(try disk.request(BlockRequest.Kind.read, read: 512).status == 0)
        #expect(disk.driver.transport.signals.violations.count == 0)
    }

    @Test("A host disk without space is an I/O error, and the rest goes on")
    func fullDisk() throws {
        let disk = try BlockDriver(FullDisk())
        #expect(try disk.request(BlockRequest.Kind.write, write: [UInt8](repeating: 1, count: 512)).status == 1)
        #expect(try disk.read(0, count: 512) == [UInt8](repeating: 0, count: 512))
    }

    @Test("Discard and write-zeroes check every extent before the first is served")
    func extents() throws {
        let storage = FaultyStorage()
        let disk = try BlockDriver(storage)
        func status(_ kind: UInt32, _ extents: [UInt8]) throws -> UInt8 {
            try disk.request(kind, write: extents).status
        }
        let good = BlockDriver.extent(8, 8)
        #expect(try status(BlockRequest.Kind.discard, good + BlockDriver.extent(2047, 2)) == 1)
        #expect(try status(BlockRequest.Kind.discard, good + BlockDriver.extent(.max, 1)) == 1)
        #expect(try status(BlockRequest.Kind.discard, BlockDriver.extent(0, .max)) == 1)
        #expect(try status(BlockRequest.Kind.discard, []) == 1)
        #expect(try status(BlockRequest.Kind.discard, good + [1]) == 1)
        #expect(try status(BlockRequest.Kind.discard, Array(repeating: good, count: 17).flatMap { $0 }) == 1)
        #expect(try status(BlockRequest.Kind.discard, BlockDriver.extent(0, 8, flags: 1)) == 2)
        #expect(try status(BlockRequest.Kind.writeZeroes, BlockDriver.extent(0, 8, flags: 2)) == 2)
        #expect(storage.log == [])
        #expect(try status(BlockRequest.Kind.discard, good + BlockDriver.extent(32, 16)) == 0)
        #expect(try status(BlockRequest.Kind.writeZeroes, good) == 0)
        #expect(try status(BlockRequest.Kind.writeZeroes, BlockDriver.extent(8, 8, flags: 1)) == 0)
        #expect(
            storage.log == [
                "discard 4096..<8192", "discard 16384..<24576", "zeroes 4096..<8192 false", "zeroes 4096..<8192 true",
            ])
    }

    @Test("Its configuration is what Linux's driver reads")
    func configuration() throws {
        let transport = try BlockDriver(FaultyStorage()).driver.transport
        func value(_ offset: UInt64, _ width: Int) -> UInt64 {
            transport.read(at: 0x100 + offset, width: width) & (.max >> (64 - 8 * UInt64(width)))
        }
        #expect(value(0, 8) == 2048, "capacity")
        #expect(value(12, 4) == 254, "seg_max")
        #expect(value(20, 4) == 512, "blk_size")
        #expect(value(24, 1) == 3, "physical_block_exp")
        #expect(value(34, 2) == 1, "num_queues")
        #expect(value(36, 4) == 1 << 22, "max_discard_sectors")
        #expect(value(40, 4) == 16, "max_discard_seg")
        #expect(value(44, 4) == 8, "discard_sector_alignment")
        #expect(value(48, 4) == 1 << 15, "max_write_zeroes_sectors")
        #expect(value(52, 4) == 16, "max_write_zeroes_seg")
        #expect(value(56, 1) == 1, "write_zeroes_may_unmap")
    }

    @Test("Requests that wait together are answered with one interrupt; a reset drops what is not begun")
    func batchAndReset() throws {
        let storage = FaultyStorage()
        let disk = try BlockDriver(storage)
        let driver = disk.driver
        let queue = driver.queues[0]
        func postFlushes(_ count: Int) throws {
            for _ in 0..<count {
                try driver.post([
                    driver.readable(BlockDriver.header(BlockRequest.Kind.flush, 0)), driver.writable(1),
                ])
            }
        }
        _ = driver.line.take()
        try queue.wantInterrupt(after: 19)
        try storage.hold { try postFlushes(20) }
        driver.line.wait()
        #expect(driver.line.take() == 1)
        #expect(try queue.usedIndex() == 20)
        #expect(storage.log.count == 20)
        while try queue.takeUsed() != nil {}
        // What the device has begun when the driver resets it, it finishes first; nothing comes after.
        try storage.hold { try postFlushes(20) }
        driver.write(0, .status)
        let (index, calls) = (try queue.usedIndex(), storage.log.count)
        driver.write(0, .queueNotify)
        try driver.start(queueSize: 8)
        #expect(try disk.request(BlockRequest.Kind.flush).status == 0)
        #expect(try queue.usedIndex() == index)
        #expect(storage.log.count == calls + 1)
    }

    @Test("KVM may ring the device's own bell")
    func doorbell() throws {
        let device = try BlockDevice(storage: FaultyStorage(), serial: "")
        let driver = try ScriptedDriver(device)
        try driver.start(queueSize: 8)
        let status = driver.writable(1)
        _ = try driver.queues[0].post([driver.readable(BlockDriver.header(BlockRequest.Kind.flush, 0)), status])
        device.doorbell(queue: 0)?.signal()
        #expect(try driver.used().written == 1)
        #expect(device.doorbell(queue: 1) == nil)
    }
}

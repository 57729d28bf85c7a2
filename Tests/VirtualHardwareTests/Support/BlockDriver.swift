import HostSystem

@testable import VirtualHardware

/// A disk's driver in a test.
struct BlockDriver {
    let driver: ScriptedDriver

    /// Starts the disk with all that it offers.
    init(_ storage: any BlockStorage, serial: String = "probe") throws {
        let device = try BlockDevice(storage: storage, serial: serial)
        driver = try ScriptedDriver(device)
        try driver.start(device.features.union([.version1, .eventIndex]), queueSize: 64)
    }

    /// `virtio_blk_req`'s header.
    static func header(_ kind: UInt32, _ sector: UInt64) -> [UInt8] {
        bytes(kind) + bytes(UInt32(0)) + bytes(sector)
    }

    static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    /// One request; its status, what it read, and how many bytes the device says it wrote.
    func request(
        _ kind: UInt32, sector: UInt64 = 0, write source: [UInt8] = [], read count: Int = 0
    ) throws -> (status: UInt8, bytes: [UInt8], written: Int) {
        let (target, status) = (driver.writable(count), driver.writable(1))
        try driver.memory.store(UInt8(0xee), at: status.address)
        var chain = [try driver.readable(Self.header(kind, sector))]
        if !source.isEmpty { chain.append(try driver.readable(source)) }
        if count > 0 { chain.append(target) }
        let written = try driver.request(chain + [status])
        return (try driver.bytes(status)[0], try driver.bytes(target), written)
    }

    func read(_ sector: UInt64, count: Int) throws -> [UInt8] {
        let result = try request(BlockRequest.Kind.read, sector: sector, read: count)
        guard result.status == 0, result.written == count + 1 else { throw DiskError(status: result.status) }
        return result.bytes
    }

    func write(_ sector: UInt64, _ bytes: [UInt8]) throws {
        let result = try request(BlockRequest.Kind.write, sector: sector, write: bytes)
        guard result.status == 0, result.written == 1 else { throw DiskError(status: result.status) }
    }

    /// `virtio_blk_discard_write_zeroes`.
    static func extent(_ sector: UInt64, _ sectors: UInt32, flags: UInt32 = 0) -> [UInt8] {
        bytes(sector) + bytes(sectors) + bytes(flags)
    }
}

/// The disk did not do it.
struct DiskError: Error {
    let status: UInt8
}

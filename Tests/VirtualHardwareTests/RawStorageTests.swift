import Glibc
import HostSystem
import Testing

@testable import VirtualHardware

@Suite("Virtio disk over a file", .timeLimit(.minutes(1)))
struct RawStorageTests {
    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func pattern(_ count: Int, _ seed: UInt64 = 1) -> [UInt8] {
        var random = SplitMix(seed: seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    @Test("What is written is read, flushed and in the file")
    func roundTrip() throws {
        let path = try files.make("disk", [UInt8](repeating: 0, count: 1 << 20))
        let disk = try BlockDriver(RawStorage(path: path, readOnly: false))
        let text = pattern(8192)
        try disk.write(3, text)
        #expect(try disk.read(3, count: 8192) == text)
        #expect(try disk.read(2, count: 512) == [UInt8](repeating: 0, count: 512))
        #expect(try disk.request(BlockRequest.Kind.flush).status == 0)
        #expect(try Array(files.bytes("disk")[1536..<(1536 + 8192)]) == text)
        // The last sector.
        try disk.write(2047, [UInt8](repeating: 9, count: 512))
        #expect(try files.bytes("disk").suffix(512).allSatisfy { $0 == 9 })
    }

    @Test("Where one buffer ends and the next begins means nothing")
    func segments() throws {
        let path = try files.make("disk", pattern(4096))
        let driver = try BlockDriver(RawStorage(path: path, readOnly: false)).driver
        // The header in three pieces, the last one shared with the data.
        let header = BlockDriver.header(BlockRequest.Kind.write, 1)
        let data = pattern(1024, 7)
        let status = driver.writable(1)
        let written = try driver.request([
            driver.readable(Array(header[..<1])), driver.readable(Array(header[1..<15])),
            driver.readable([header[15]] + data[..<100]), driver.readable(Array(data[100...])), status,
        ])
        #expect(written == 1)
        #expect(try driver.bytes(status) == [0])
        #expect(try Array(files.bytes("disk")[512..<1536]) == data)
        // The status at the end of the last piece of data.
        let pieces = [driver.writable(1), driver.writable(500), driver.writable(524)]
        let head = try driver.readable(BlockDriver.header(BlockRequest.Kind.read, 1))
        #expect(try driver.request([head] + pieces) == 1025)
        #expect(try pieces.flatMap { try driver.bytes($0) } == data + [0])
    }

    @Test("A file's discarded space is given back; zeros are zeros")
    func discard() throws {
        let path = try files.make("disk", pattern(1 << 20))
        let disk = try BlockDriver(RawStorage(path: path, readOnly: false))
        let before = try files.space(of: "disk")
        #expect(try disk.request(BlockRequest.Kind.discard, write: BlockDriver.extent(1024, 1024)).status == 0)
        #expect(try files.space(of: "disk") <= before - (512 << 10))
        #expect(try files.bytes("disk").count == 1 << 20)
        for flags in [0, 1] as [UInt32] {
            try disk.write(16, pattern(4096))
            #expect(
                try disk.request(BlockRequest.Kind.writeZeroes, write: BlockDriver.extent(17, 5, flags: flags)).status
                    == 0)
            let expected = pattern(512) + [UInt8](repeating: 0, count: 5 * 512) + pattern(4096)[3072...]
            #expect(try disk.read(16, count: 4096) == expected)
        }
    }

    @Test("A read-only disk says so, refuses writes and does not know discard")
    func readOnly() throws {
        let content = pattern(4096)
        let path = try files.make("disk", content)
        chmod(path, 0o400)
        let storage = try RawStorage(path: path, readOnly: true)
        let disk = try BlockDriver(storage)
        disk.driver.write(0, .deviceFeaturesSelect)
        #expect(disk.driver.read(.deviceFeatures) & (1 << 5 | 1 << 9 | 1 << 13 | 1 << 14) == 1 << 5)
        #expect(try disk.read(0, count: 4096) == content)
        #expect(try disk.request(BlockRequest.Kind.write, write: [UInt8](repeating: 1, count: 512)).status == 1)
        #expect(try disk.request(BlockRequest.Kind.flush).status == 0)
        #expect(try disk.request(BlockRequest.Kind.discard, write: BlockDriver.extent(0, 8)).status == 2)
        #expect(try files.bytes("disk") == content)
    }

    @Test("A last sector that the file fills in part ends in zeros", arguments: [true, false])
    func partialSector(readOnly: Bool) throws {
        let content = pattern(700)
        let path = try files.make("disk", content)
        let disk = try BlockDriver(RawStorage(path: path, readOnly: readOnly))
        #expect(disk.driver.transport.read(at: 0x100, width: 8) == 2)
        #expect(try disk.read(0, count: 1024) == content + [UInt8](repeating: 0, count: 324))
        #expect(try files.bytes("disk").count == (readOnly ? 700 : 1024))
    }

    @Test("A file that somebody cut is an I/O error, not made-up zeros")
    func cut() throws {
        let path = try files.make("disk", pattern(8192))
        let disk = try BlockDriver(RawStorage(path: path, readOnly: true))
        _ = try files.make("disk", pattern(1024))
        #expect(try disk.request(BlockRequest.Kind.read, sector: 0, read: 4096).status == 1)
        #expect(try disk.read(0, count: 1024) == pattern(1024))
    }
}

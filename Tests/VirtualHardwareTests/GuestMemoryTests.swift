import Glibc
import HostSystem
import Testing

@testable import VirtualHardware

@Suite struct GuestMemoryTests {
    @Test("A region begins where a large page does", arguments: [4096, 0x5000, 2 << 20, (64 << 20) + 4096])
    func alignment(size: UInt64) throws {
        let memory = try GuestMemory(ranges: [0..<size, 1 << 32..<(1 << 32 + size)])
        for region in memory.regions {
            #expect(region.host % UInt(GuestMemory.largePage) == 0)
            // Both ends are there, and are ours alone.
            try memory.store(UInt8(0xa5), at: region.base)
            try memory.store(UInt8(0x5a), at: region.end - 1)
        }
        for region in memory.regions {
            #expect(try memory.load(UInt8.self, at: region.base) == 0xa5)
            #expect(try memory.load(UInt8.self, at: region.end - 1) == 0x5a)
        }
        try memory.clear()
        #expect(try memory.load(UInt8.self, at: 0) == 0)
    }

    @Test("Memory that begins as a file's leaves that as it is, and is empty after a reset")
    func image() throws {
        let (first, second) = ([UInt8](repeating: 1, count: 8192), [UInt8](repeating: 2, count: 4096))
        let file = try OwnedDescriptor.memoryFile("image", holding: first + second)
        let ranges: [Range<UInt64>] = [0..<8192, 1 << 32..<(1 << 32 + 4096)]
        func copy() throws -> GuestMemory { try GuestMemory(ranges: ranges, backing: .copy(of: file.number)) }
        let (one, other) = (try copy(), try copy())
        try one.store(UInt8(9), at: 0)
        #expect(try one.load(UInt8.self, at: 0) == 9)
        #expect(try one.load(UInt8.self, at: 8191) == 1)
        #expect(try other.load(UInt8.self, at: 0) == 1)
        #expect(try other.load(UInt8.self, at: 1 << 32) == 2)
        let place = one.regions[0].host
        try one.clear()
        #expect(try one.load(UInt64.self, at: 0) == 0)
        #expect(try one.load(UInt64.self, at: 1 << 32) == 0)
        #expect(one.regions[0].host == place)
        #expect(try copy().load(UInt8.self, at: 0) == 1)
    }

    @Test("Memory that is kept in a file is that file's bytes at every moment")
    func file() throws {
        let file = try OwnedDescriptor.memoryFile("memory", holding: [UInt8](repeating: 3, count: 12288))
        let ranges: [Range<UInt64>] = [0..<8192, 1 << 32..<(1 << 32 + 4096)]
        let memory = try GuestMemory(ranges: ranges, backing: .file(file.number))
        #expect(try memory.load(UInt8.self, at: 1 << 32) == 3)
        try memory.store(UInt8(9), at: 1 << 32)
        var byte: UInt8 = 0
        #expect(pread(file.number, &byte, 1, 8192) == 1 && byte == 9)
        try memory.clear()
        #expect(try memory.load(UInt8.self, at: 0) == 0)
        #expect(pread(file.number, &byte, 1, 8192) == 1 && byte == 0)
    }

    @Test("What is not RAM is refused, as is a size that no host has")
    func bounds() throws {
        let memory = try GuestMemory(ranges: [0..<0x2000, 0x4000..<0x6000])
        #expect(throws: GuestMemoryError.self) { try memory.bytes(at: 0x1fff, count: 2) }
        #expect(throws: GuestMemoryError.self) { try memory.bytes(at: 0x3000, count: 1) }
        #expect(throws: GuestMemoryError.self) { try memory.bytes(at: .max, count: 2) }
        #expect(throws: (any Error).self) { try GuestMemory(ranges: [0..<UInt64(Int.max) & ~4095]) }
        #expect(throws: (any Error).self) { try GuestMemory(ranges: [0..<4097]) }
        #expect(throws: (any Error).self) { try GuestMemory(ranges: [0x2000..<0x4000, 0x3000..<0x5000]) }
    }
}

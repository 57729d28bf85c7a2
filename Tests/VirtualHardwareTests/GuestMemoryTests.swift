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

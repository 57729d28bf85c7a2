import Glibc
import HostSystem
import LabTestSupport
import QMP
import Testing
import VirtualHardware

@testable import MicroVM

/// Addresses around the 32-bit hole. Nothing here touches the memory, so that it takes none.
@Suite("Memory around the 32-bit hole")
struct LargeMemoryTests {
    static let gibibyte: UInt64 = 1 << 30

    @Test(
        "RAM beyond 3 GiB goes on at 4 GiB",
        arguments: [
            (VMConfiguration.memoryRange.lowerBound, [0..<VMConfiguration.memoryRange.lowerBound]),
            (3 * gibibyte - 4096, [0..<(3 * gibibyte - 4096)]), (3 * gibibyte, [0..<(3 * gibibyte)]),
            (3 * gibibyte + 4096, [0..<(3 * gibibyte), (4 * gibibyte)..<(4 * gibibyte + 4096)]),
            (8 * gibibyte, [0..<(3 * gibibyte), (4 * gibibyte)..<(9 * gibibyte)]),
            (VMConfiguration.memoryRange.upperBound, [0..<(3 * gibibyte), (4 * gibibyte)..<(1025 * gibibyte)]),
        ] as [(UInt64, [Range<UInt64>])])
    func ranges(_ size: UInt64, _ wanted: [Range<UInt64>]) {
        let ranges = MachineLayout.memoryRanges(size: size)
        #expect(ranges == wanted)
        #expect(ranges.reduce(0) { $0 + UInt64($1.count) } == size)
    }

    @Test("no device lies in RAM", arguments: [3 * gibibyte, 8 * gibibyte, VMConfiguration.memoryRange.upperBound])
    func devices(_ size: UInt64) {
        let virtioEnd =
            MachineLayout.virtioStart + UInt64(MachineLayout.mostVirtioDevices) * MachineLayout.virtioSize
        let places = [
            MachineLayout.virtioStart..<virtioEnd, MachineLayout.ioapic..<(MachineLayout.ioapic + 4096),
            MachineLayout.localAPIC..<(MachineLayout.localAPIC + 4096),
            MachineLayout.identityMap..<(MachineLayout.identityMap + 4096),
            MachineLayout.taskStateSegment..<(MachineLayout.taskStateSegment + 3 * 4096),
        ]
        for place in places {
            #expect(MachineLayout.memoryRanges(size: size).allSatisfy { !$0.overlaps(place) })
            #expect(places.count { $0.overlaps(place) } == 1)
        }
    }

    @Test("an access goes to one side of the hole or nowhere")
    func accesses() throws {
        let memory = try GuestMemory(ranges: MachineLayout.memoryRanges(size: 5 * Self.gibibyte))
        let (holeStart, holeEnd) = (MachineLayout.holeStart, MachineLayout.holeEnd)
        try memory.store(UInt64(0x1122_3344_5566_7788), at: holeStart - 8)
        try memory.store(UInt64(42), at: holeEnd)
        try memory.store(UInt8(7), at: 6 * Self.gibibyte - 1)
        #expect(try memory.load(UInt64.self, at: holeStart - 8) == 0x1122_3344_5566_7788)
        #expect(try memory.load(UInt64.self, at: holeEnd) == 42)
        #expect(try memory.load(UInt8.self, at: 6 * Self.gibibyte - 1) == 7)
        let outside: [(UInt64, UInt64)] = [
            (holeStart - 4, 8), (holeStart, 1), (holeEnd - 1, 1), (holeEnd - 4, 8), (6 * Self.gibibyte - 4, 8),
            (0, 5 * Self.gibibyte), (holeStart - 4096, Self.gibibyte + 8192), (.max - 3, 8),
        ]
        for (address, count) in outside {
            #expect(throws: GuestMemoryError.self) { try memory.bytes(at: address, count: count) }
        }
    }

    /// An entry of a memory map: its range and its ACPI type.
    private struct Entry: Equatable {
        var range: Range<UInt64>
        var type: UInt32
    }

    @Test("both boot protocols tell of all RAM and of nothing else", arguments: [1, 3, 4, 64] as [UInt64])
    func maps(_ gibibytes: UInt64) throws {
        let size = gibibytes * Self.gibibyte
        let memory = try GuestMemory(ranges: MachineLayout.memoryRanges(size: size))
        var page = ZeroPage(memory: memory)
        try page.write()
        try StartInfo(memory: memory, ramdisk: nil).write()
        var wanted = [
            Entry(range: 0..<MachineLayout.lowMemoryEnd, type: 1),
            Entry(range: MachineLayout.lowMemoryEnd..<(1 << 20), type: 2),
            Entry(range: (1 << 20)..<min(size, MachineLayout.holeStart), type: 1),
        ]
        if size > MachineLayout.holeStart {
            let end = MachineLayout.holeEnd + size - MachineLayout.holeStart
            wanted.append(Entry(range: MachineLayout.holeEnd..<end, type: 1))
        }
        func entry(at place: UInt64) throws -> Entry {
            let start = try memory.load(UInt64.self, at: place)
            return Entry(
                range: start..<(start + (try memory.load(UInt64.self, at: place + 8))),
                type: try memory.load(at: place + 16))
        }
        let zeroPage = MachineLayout.zeroPage
        let count = UInt64(try memory.load(UInt8.self, at: zeroPage + 0x1e8))
        #expect(try (0..<count).map { try entry(at: zeroPage + 0x2d0 + $0 * 20) } == wanted)
        let map = try memory.load(UInt64.self, at: MachineLayout.startInfo + 40)
        let startInfoCount = UInt64(try memory.load(UInt32.self, at: MachineLayout.startInfo + 48))
        #expect(try (0..<startInfoCount).map { try entry(at: map + $0 * 24) } == wanted)
    }

    @Test("with more than 4 GiB the RAM disk still lies below the kernel's limit, under the hole")
    func ramDisk() async throws {
        let memory = try GuestMemory(ranges: MachineLayout.memoryRanges(size: 6 * Self.gibibyte))
        try await withTemporaryFolder { folder in
            let kernel = KernelFile.elf(entry: 0x100_0000, segments: [(0x100_0000, [1], 1)])
            for (name, bytes) in [("kernel", kernel), ("initrd", [UInt8](repeating: 9, count: 5000))] {
                let file = try OwnedDescriptor.open("\(folder)/\(name)", O_WRONLY | O_CREAT)
                #expect(write(file.number, bytes, bytes.count) == bytes.count)
            }
            let loader = try GuestLoader(kernel: "\(folder)/kernel", initrd: "\(folder)/initrd", commandLine: "")
            _ = try loader.load(into: memory)
        }
        let start = UInt64(try memory.load(UInt32.self, at: MachineLayout.zeroPage + 0x218))
        // The limit is that of kernels without a header, 2 GiB.
        #expect(start == 0x8000_0000 - 8192)
        #expect(try memory.load(UInt8.self, at: start + 4999) == 9)
    }
}

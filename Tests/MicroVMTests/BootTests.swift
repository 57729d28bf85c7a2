import Glibc
import HostSystem
import LabTestSupport
import Testing
import VirtualHardware

@testable import MicroVM

@Suite("Loading kernels")
struct BootTests {
    private let memory: GuestMemory

    init() throws { memory = try GuestMemory(ranges: MachineLayout.memoryRanges(size: 64 << 20)) }

    private func load(
        _ kernel: [UInt8], initrd: [UInt8]? = nil, commandLine: String = ""
    ) async throws -> GuestLoader.Entry {
        try await withTemporaryFolder { folder in
            func file(_ name: String, _ bytes: [UInt8]) throws -> String {
                let file = try OwnedDescriptor.open("\(folder)/\(name)", O_WRONLY | O_CREAT)
                #expect(write(file.number, bytes, bytes.count) == bytes.count)
                return "\(folder)/\(name)"
            }
            let initrd = try initrd.map { try file("initrd", $0) }
            return try GuestLoader(kernel: try file("kernel", kernel), initrd: initrd, commandLine: commandLine)
                .load(into: memory)
        }
    }

    private func bytes(at address: UInt64, _ count: UInt64) throws -> [UInt8] {
        Array(try memory.bytes(at: address, count: count))
    }

    @Test("an ELF kernel is loaded at its physical addresses and entered in 64-bit mode")
    func elf() async throws {
        let kernel = KernelFile.elf(
            entry: 0x100_0002, segments: [(0x100_0000, [1, 2, 3, 4], 4096), (0x200_0000, [5, 6], 2)])
        #expect(try await load(kernel) == .long(0x100_0002))
        #expect(try bytes(at: 0x100_0000, 5) == [1, 2, 3, 4, 0])
        #expect(try bytes(at: 0x200_0000, 2) == [5, 6])
    }

    @Test("an ELF kernel whose entry is not a physical address is entered by its PVH note")
    func note() async throws {
        let kernel = KernelFile.elf(
            entry: 0xffff_ffff_8100_0000, segments: [(0x100_0000, [1], 1)], startInfoEntry: 0x100_0000)
        #expect(try await load(kernel) == .startInfo(0x100_0000))
        #expect(try memory.load(UInt32.self, at: MachineLayout.startInfo) == 0x336e_c578)
    }

    @Test("a bzImage's code goes where it wants to be and is entered 0x200 behind its beginning")
    func compressed() async throws {
        let code = (0..<1024).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try await load(KernelFile.compressed(code: code)) == .long(0x100_0200))
        #expect(try bytes(at: 0x100_0000, 1024) == code)
        #expect(try memory.load(UInt32.self, at: MachineLayout.zeroPage + 0x202) == 0x5372_6448)
    }

    @Test("the zero page names command line, RAM disk, ACPI's root and the memory map")
    func zeroPage() async throws {
        let kernel = KernelFile.elf(entry: 0x100_0000, segments: [(0x100_0000, [1], 1)])
        let initrd = [UInt8](repeating: 7, count: 5000)
        _ = try await load(kernel, initrd: initrd, commandLine: "console=ttyS0 quiet")
        let page = MachineLayout.zeroPage
        let line = UInt64(try memory.load(UInt32.self, at: page + 0x228))
        #expect(try bytes(at: line, 20) == Array("console=ttyS0 quiet\0".utf8))
        let start = UInt64(try memory.load(UInt32.self, at: page + 0x218))
        #expect(try memory.load(UInt32.self, at: page + 0x21c) == 5000)
        #expect(start % 4096 == 0 && start + 5000 <= 64 << 20)
        #expect(try bytes(at: start, 5000) == initrd)
        #expect(try memory.load(UInt64.self, at: page + 0x70) == MachineLayout.acpiTables.lowerBound)
        #expect(try memory.load(UInt8.self, at: page + 0x1e8) == 3)
        #expect(try memory.load(UInt64.self, at: page + 0x2d0 + 40) == 1 << 20)
        #expect(try memory.load(UInt64.self, at: page + 0x2d0 + 48) == 63 << 20)
    }

    @Test(
        "a RAM disk lies in whole pages below its limit, and none of them has a byte of the kernel's",
        arguments: [
            // size, end of the kernel, limit, address
            (1, 0x100_0000, 0x400_0000, 0x3ff_f000), (4096, 0x100_0000, 0x400_0000, 0x3ff_f000),
            (4097, 0x100_0000, 0x400_0000, 0x3ff_e000),
            // A limit within a page, as a header may have it.
            (1, 0x100_0000, 0x3ff_f123, 0x3ff_e000), (0x1000, 0x100_0400, 0x100_2fff, 0x100_1000),
            // All the room there is.
            (0x1000, 0x100_0001, 0x100_2000, 0x100_1000), (0x300_0000, 0x100_0000, 0x400_0000, 0x100_0000),
        ] as [(UInt64, UInt64, UInt64, UInt64)])
    func ramDisk(_ size: UInt64, _ kernelEnd: UInt64, _ limit: UInt64, _ address: UInt64) throws {
        #expect(try GuestLoader.place(size, above: kernelEnd, below: limit) == address)
    }

    @Test(
        "a RAM disk without room is refused, whatever the numbers",
        arguments: [
            (0x1001, 0x100_0001, 0x100_2000), (1, 0x100_0800, 0x100_1800), (1, 0x100_0000, 0x100_0000),
            (1, 0x100_0000, 0), (1, 0x100_0000, 1), (.max, 0x100_0000, .max), (1, .max, .max), (.max, 0, .max),
        ] as [(UInt64, UInt64, UInt64)])
    func noRoom(_ size: UInt64, _ kernelEnd: UInt64, _ limit: UInt64) {
        #expect(throws: BootError.self) { try GuestLoader.place(size, above: kernelEnd, below: limit) }
    }

    @Test(
        "a file that is no sound kernel is refused with a reason",
        arguments: [
            [], [0x7f, 0x45, 0x4c, 0x46], Array("#!/bin/sh\necho no kernel\n".utf8),
            KernelFile.elf(entry: 0, segments: []),
            KernelFile.elf(entry: 0x100_0000, segments: [(0x1000, [1], 1)]),
            KernelFile.elf(entry: 0x100_0000, segments: [(0x100_0000, [1], 1 << 40)]),
            KernelFile.elf(entry: .max, segments: [(.max - 4, [1], 8)]),
            KernelFile.elf(entry: 0x100_0000, segments: [(0x100_0000, [1, 2, 3, 4], 2)]),
            Array(KernelFile.elf(entry: 0x100_0000, segments: [(0x100_0000, [1, 2, 3, 4], 4)]).dropLast(3)),
            Array(KernelFile.compressed(code: []).dropLast(100)),
            KernelFile.compressed(code: [UInt8](repeating: 0, count: 1024), preferred: .max - 100),
            KernelFile.compressed(code: [UInt8](repeating: 0, count: 1024), preferred: 0),
        ] as [[UInt8]])
    func malformed(_ kernel: [UInt8]) async {
        await #expect(throws: BootError.self) { try await load(kernel) }
    }

    @Test("a RAM disk that does not fit beside the kernel is refused, and so is an overlong command line")
    func limits() async {
        let kernel = KernelFile.elf(entry: 0x100_0000, segments: [(0x100_0000, [1], 40 << 20)])
        await #expect(throws: BootError.tooLarge(what: "the initial RAM disk", need: 9 << 20, have: 8 << 20)) {
            try await load(kernel, initrd: [UInt8](repeating: 1, count: 9 << 20))
        }
        await #expect(throws: BootError.longCommandLine(3000)) {
            try await load(kernel, commandLine: String(repeating: "x", count: 3000))
        }
    }
}

import Glibc
import HostSystem
import KVM
import LabTestSupport
import Testing
import VirtualHardware

@testable import MicroVM

@Suite("A snapshot's files")
struct SnapshotFileTests {
    private let snapshot = MachineSnapshot(
        identity: Array(0..<16), memory: 64 << 20,
        features: [ProcessorLeaf(function: 1, index: 0, registers: [1, 2, 3, 4])],
        processors: [
            VCPUState(
                parts: [.registers: [1, 2, 3], .events: [4]],
                modelSpecificRegisters: [VCPUState.ModelSpecificRegister(index: 0x10, value: .max)],
                timeStampFrequency: 2_000_000)
        ],
        clock: 12345, controllers: [[1], [2], [3]],
        devices: [MachineSnapshot.Device(form: "power/1", state: [0])])

    @Test("reads back as it was written")
    func roundTrip() throws {
        #expect(try MachineSnapshot(bytes: snapshot.bytes) == snapshot)
        var other = snapshot
        (other.clock, other.processors[0].timeStampFrequency) = (nil, nil)
        #expect(try MachineSnapshot(bytes: other.bytes) == other)
    }

    @Test("Any byte that is changed or missing is found")
    func damage() {
        let bytes = snapshot.bytes
        for count in 0..<bytes.count {
            #expect(throws: SnapshotError.self) { try MachineSnapshot(bytes: Array(bytes.prefix(count))) }
            var changed = bytes
            changed[count] ^= 0x10
            #expect(throws: SnapshotError.self) { try MachineSnapshot(bytes: changed) }
        }
    }

    @Test("A file of another version, and one that is none, are refused as such")
    func strangers() {
        var bytes = snapshot.bytes
        bytes[MachineSnapshot.magic.count] = 9
        #expect(throws: SnapshotError("it has version 9, and this vmlab-vmm reads version 1")) {
            try MachineSnapshot(bytes: bytes)
        }
        #expect(throws: SnapshotError("it is no snapshot of a machine")) {
            try MachineSnapshot(bytes: Array("#!/bin/sh\necho no snapshot at all\n".utf8))
        }
    }

    /// With a right checksum, as a writer with a mistake would make it.
    @Test("A body of nonsense is refused, and takes no memory")
    func nonsense() {
        for byte in [0x00, 0x01, 0x7f, 0xff] as [UInt8] {
            for length in 0..<200 {
                let body = [UInt8](repeating: byte, count: length)
                var file = StateEncoder()
                for byte in MachineSnapshot.magic { file.add(byte) }
                file.add(MachineSnapshot.version)
                file.add(MachineSnapshot.checksum(body))
                // Zeros are a snapshot of nothing, which no machine's shape is.
                if let read = try? MachineSnapshot(bytes: file.bytes + body) {
                    #expect(throws: SnapshotError.self) { try read.check(processors: 1, memory: 32 << 20) }
                }
            }
        }
    }

    @Test("Memory is written sparsely, on both sides of the hole, and is mapped as it was")
    func memory() async throws {
        try await withTemporaryFolder { folder in
            let ranges: [Range<UInt64>] = [0..<(16 << 20), 1 << 32..<(1 << 32 + 4 << 20)]
            let memory = try GuestMemory(ranges: ranges)
            let places: [UInt64] = [0, 4095, 8192, (16 << 20) - 1, 1 << 32, (1 << 32) + (4 << 20) - 1]
            for place in places { try memory.store(UInt8(truncatingIfNeeded: place >> 4) | 1, at: place) }
            var wanted = snapshot
            wanted.memory = ranges.reduce(0) { $0 + UInt64($1.count) }
            let files = SnapshotFiles(path: "\(folder)/s")
            try files.write(wanted, memory)
            var status = stat()
            #expect(stat(files.memoryPath, &status) == 0)
            #expect(UInt64(status.st_size) == wanted.memory + 4096)
            #expect(status.st_blocks * 512 <= 16 * 4096)

            let (read, image) = try files.read()
            #expect(read == wanted)
            let copy = try GuestMemory(ranges: ranges, image: image.number)
            for region in memory.regions {
                let one = try memory.bytes(at: region.base, count: region.size)
                let other = try copy.bytes(at: region.base, count: region.size)
                let (first, second) = (try #require(one.baseAddress), try #require(other.baseAddress))
                #expect(memcmp(first, second, one.count) == 0)
            }
        }
    }

    @Test("A snapshot that cannot be written leaves nothing behind")
    func failure() async throws {
        try await withTemporaryFolder { folder in
            let memory = try GuestMemory(ranges: [0..<4096])
            let files = SnapshotFiles(path: "\(folder)/none/s")
            #expect(throws: SystemCallError.self) { try files.write(snapshot, memory) }
            var names = try FileTree.names(in: folder)
            #expect(names.isEmpty)
            // What is there already stays, as others may be using it.
            let blocked = SnapshotFiles(path: "\(folder)/s")
            try blocked.write(snapshot, memory)
            #expect(throws: SystemCallError("open", errno: EEXIST, blocked.path)) {
                try blocked.write(snapshot, memory)
            }
            names = try FileTree.names(in: folder)
            #expect(Set(names) == ["s", "s.memory"])
        }
    }
}

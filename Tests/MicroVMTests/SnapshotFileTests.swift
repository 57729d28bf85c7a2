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
        clock: ClockReading(nanoseconds: 12345, timeStamp: 678), controllers: [[1], [2], [3]],
        devices: [MachineSnapshot.Device(form: "power/1", state: [0])],
        layers: [MachineSnapshot.Layer(disk: 2, size: 8192, blocks: [0..<1, 5..<9])])

    /// Writes the snapshot of a machine with this memory and the changes of one disk; what was written.
    private func write(
        _ files: SnapshotFiles, _ memory: SnapshotFiles.Memory, size: UInt64 = 4096, overlay: OverlayStorage? = nil
    ) throws -> MachineSnapshot {
        var wanted = snapshot
        wanted.memory = size
        try files.write(memory, overlay.map { [2: $0] } ?? [:]) { identity, layers in
            (wanted.identity, wanted.layers) = (identity, layers)
            return wanted
        }
        return wanted
    }

    @Test("reads back as it was written")
    func roundTrip() throws {
        #expect(try MachineSnapshot(bytes: snapshot.bytes) == snapshot)
        var other = snapshot
        (other.clock, other.processors[0].timeStampFrequency) = (nil, nil)
        #expect(try MachineSnapshot(bytes: other.bytes) == other)
        other.clock = ClockReading(nanoseconds: 0)
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
        #expect(throws: SnapshotError("it has version 9, and this vmlab-vmm reads version 2")) {
            try MachineSnapshot(bytes: bytes)
        }
        #expect(throws: SnapshotError("it is not a machine snapshot")) {
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
                file.add(fnv1a(body))
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
            let files = SnapshotFiles(path: "\(folder)/s")
            let size = ranges.reduce(0) { $0 + UInt64($1.count) }
            let wanted = try write(files, .copied(memory), size: size)
            var status = stat()
            #expect(stat(files.memoryPath, &status) == 0)
            #expect(UInt64(status.st_size) == wanted.memory + 4096)
            #expect(status.st_blocks * 512 <= 16 * 4096)

            let saved = try files.read()
            #expect(saved.snapshot == wanted)
            let copy = try GuestMemory(ranges: ranges, backing: .copy(of: saved.memory.number))
            for region in memory.regions {
                let one = try memory.bytes(at: region.base, count: region.size)
                let other = try copy.bytes(at: region.base, count: region.size)
                let (first, second) = (try #require(one.baseAddress), try #require(other.baseAddress))
                #expect(memcmp(first, second, one.count) == 0)
            }
        }
    }

    @Test("Memory that was in its file from the start is not copied, and belongs to the snapshot once that is whole")
    func golden() async throws {
        try await withTemporaryFolder { folder in
            let files = SnapshotFiles(path: "\(folder)/s")
            let golden = try GoldenMemory(files, size: 8192)
            let memory = try GuestMemory(ranges: [0..<8192], backing: .file(golden.file.number))
            try memory.store(UInt8(7), at: 4096)
            #expect(throws: SnapshotError.self) { try files.read() }
            let wanted = try write(files, .kept(golden), size: 8192)
            let saved = try files.read()
            #expect(saved.snapshot == wanted)
            let copy = try GuestMemory(ranges: [0..<8192], backing: .copy(of: saved.memory.number))
            #expect(try copy.load(UInt16.self, at: 4096) == 7)
            #expect(throws: SystemCallError("open", errno: EEXIST, files.memoryPath)) {
                try GoldenMemory(files, size: 8192)
            }
        }
    }

    @Test("What was written to a disk is kept beside it, and is refused when it is another snapshot's")
    func layers() async throws {
        try await withTemporaryFolder { folder in
            let base = "\(folder)/base"
            try FileTree.makeSparseFile(base, size: 16384)
            let overlay = try OverlayStorage(base: base, overlay: "\(folder)/overlay")
            try overlay.writeZeroes(4096..<8192, mayFree: false)
            let memory = try GuestMemory(ranges: [0..<4096])
            let (one, other) = (SnapshotFiles(path: "\(folder)/one"), SnapshotFiles(path: "\(folder)/other"))
            _ = try write(one, .copied(memory), overlay: overlay)
            _ = try write(other, .copied(memory), overlay: overlay)
            let saved = try one.read()
            #expect(try saved.layer(ofDisk: 0) == nil)
            #expect(try saved.layer(ofDisk: 2) == OverlayStorage.Layer(path: "\(folder)/one.disk2", blocks: [1..<2]))
            #expect(rename(other.layerPath(2), one.layerPath(2)) == 0)
            let refusal = #expect(throws: SnapshotError.self) { try saved.layer(ofDisk: 2) }
            #expect(
                refusal?.description.contains("what was written to disk 2 in \(folder)/one.disk2 belongs to another")
                    == true)
        }
    }

    @Test("A snapshot that cannot be written leaves nothing behind")
    func failure() async throws {
        try await withTemporaryFolder { folder in
            let memory = try GuestMemory(ranges: [0..<4096])
            let files = SnapshotFiles(path: "\(folder)/none/s")
            #expect(throws: SystemCallError.self) { try write(files, .copied(memory)) }
            var names = try FileTree.names(in: folder)
            #expect(names.isEmpty)
            // What is there already stays, as others may be using it.
            let blocked = SnapshotFiles(path: "\(folder)/s")
            _ = try write(blocked, .copied(memory))
            #expect(throws: SystemCallError("open", errno: EEXIST, blocked.path)) {
                try write(blocked, .copied(memory))
            }
            names = try FileTree.names(in: folder)
            #expect(Set(names) == ["s", "s.memory"])
        }
    }
}

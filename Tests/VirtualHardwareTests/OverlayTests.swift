import Glibc
import HostSystem
import Testing

@testable import VirtualHardware

@Suite("Overlay of a disk", .timeLimit(.minutes(1)))
struct OverlayTests {
    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    private func pattern(_ count: Int) -> [UInt8] {
        var random = SplitMix(seed: 5)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private func overlay(_ name: String = "overlay", size: UInt64 = 0) throws -> OverlayStorage {
        try OverlayStorage(base: files.path + "/base", overlay: files.path + "/" + name, size: size)
    }

    /// Calls storage with the bytes of an array.
    private func withSegments<Result>(
        _ bytes: inout [UInt8], _ body: (GuestSegments) throws -> Result
    ) rethrows -> Result {
        try bytes.withUnsafeMutableBytes { buffer in
            var segments = GuestSegments()
            // Two pieces, so that their border falls anywhere.
            let middle = buffer.count / 3
            segments.append(UnsafeMutableRawBufferPointer(rebasing: buffer[..<middle]))
            segments.append(UnsafeMutableRawBufferPointer(rebasing: buffer[middle...]))
            return try body(segments)
        }
    }

    private func read(_ storage: some BlockStorage, _ range: Range<Int>) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xaa, count: range.count)
        try withSegments(&bytes) { try storage.read($0, at: UInt64(range.lowerBound)) }
        return bytes
    }

    private func write(_ storage: some BlockStorage, _ bytes: [UInt8], at offset: Int) throws {
        var bytes = bytes
        try withSegments(&bytes) { try storage.write($0, at: UInt64(offset)) }
    }

    @Test("Two guests share a base that never changes")
    func sharing() throws {
        let content = pattern(64 << 10)
        chmod(try files.make("base", content), 0o400)
        let (one, two) = (try overlay("one"), try overlay("two"))
        try write(one, [UInt8](repeating: 1, count: 512), at: 512)
        try write(two, [UInt8](repeating: 2, count: 8192), at: 20 << 10)
        #expect(try read(one, 0..<1536) == content[..<512] + [UInt8](repeating: 1, count: 512) + content[1024..<1536])
        #expect(try read(one, (20 << 10)..<(28 << 10)) == Array(content[(20 << 10)..<(28 << 10)]))
        #expect(try read(two, 0..<1536) == Array(content[..<1536]))
        #expect(try read(two, (20 << 10)..<(28 << 10)) == [UInt8](repeating: 2, count: 8192))
        #expect(try files.bytes("base") == content)
        // Only what was written takes space: one block, and two.
        #expect(try files.space(of: "one") <= 8 << 10)
        #expect(try files.space(of: "two") <= 16 << 10)
    }

    /// Keeps what a disk has changed; the layer of a disk that goes on from there.
    private func keep(_ storage: OverlayStorage, as name: String) throws -> OverlayStorage.Layer {
        let path = files.path + "/" + name
        let file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
        return OverlayStorage.Layer(path: path, blocks: try storage.keepChanges(in: file, path))
    }

    private func overlay(_ name: String, over layer: OverlayStorage.Layer) throws -> OverlayStorage {
        try OverlayStorage(base: files.path + "/base", layer: layer, overlay: files.path + "/" + name)
    }

    @Test("What was changed is kept, and goes on over the base: through generations, in three files")
    func layers() throws {
        let content = pattern(64 << 10)
        _ = try files.make("base", content)
        let first = try overlay("one")
        try write(first, [UInt8](repeating: 1, count: 512), at: 4096)
        try write(first, [UInt8](repeating: 2, count: 8192), at: 16 << 10)
        try first.discard((32 << 10)..<(40 << 10))
        let layer = try keep(first, as: "layer")
        #expect(layer.blocks == [1..<2, 4..<6, 8..<10])
        // One goes on, and so does the first: neither sees what the other writes.
        let second = try overlay("two", over: layer)
        #expect(try read(second, 0..<(64 << 10)) == read(first, 0..<(64 << 10)))
        try write(first, [UInt8](repeating: 9, count: 512), at: 0)
        try write(second, [UInt8](repeating: 3, count: 512), at: 4096 + 512)
        try write(second, [UInt8](repeating: 4, count: 4096), at: 60 << 10)
        #expect(try read(second, 0..<512) == Array(content[..<512]))
        #expect(try read(second, 4096..<(4096 + 1024)).prefix(513) == [UInt8](repeating: 1, count: 512)[...] + [3])
        let next = try keep(second, as: "next")
        #expect(next.blocks == [1..<2, 4..<6, 8..<10, 15..<16])
        let third = try overlay("three", over: next)
        #expect(try read(third, 0..<(64 << 10)) == read(second, 0..<(64 << 10)))
        #expect(try files.bytes("base") == content)
        // Zeros take no space.
        #expect(try files.space(of: "next") <= 16 << 10)
    }

    @Test("A layer with blocks that the disk has not is refused", arguments: [[3..<3], [4..<5, 2..<3], [16..<17]])
    func strayLayers(blocks: [Range<UInt64>]) throws {
        _ = try files.make("base", pattern(64 << 10))
        let path = try files.make("layer", [])
        #expect(throws: SystemCallError("open", errno: EINVAL, path)) {
            try overlay("over", over: OverlayStorage.Layer(path: path, blocks: blocks))
        }
    }

    @Test("Any reads, writes, discards and zeros are as on one plain disk", arguments: [40_000, 40_960, 41_001])
    func model(baseSize: Int) throws {
        let content = pattern(baseSize)
        _ = try files.make("base", content)
        let storage = try overlay(size: 60_000)
        let size = Int(storage.size)
        #expect(size == 60_416)
        var model = content + [UInt8](repeating: 0, count: size - baseSize)
        var random = SplitMix(seed: UInt64(baseSize))
        for turn in 0..<1500 {
            let start = Int.random(in: 0..<(size / 512), using: &random) * 512
            let length = min(Int.random(in: 1...24, using: &random) * 512, size - start)
            let range = start..<(start + length)
            let place = UInt64(range.lowerBound)..<UInt64(range.upperBound)
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: turn), count: length)
                try write(storage, bytes, at: start)
                model.replaceSubrange(range, with: bytes)
            case 1:
                try storage.writeZeroes(place, mayFree: turn % 2 == 0)
                model.replaceSubrange(range, with: [UInt8](repeating: 0, count: length))
            case 2:
                try storage.discard(place)
                // What a discarded block reads as is open; what it is now must stay.
                let now = try read(storage, range)
                #expect(zip(now, model[range]).allSatisfy { $0 == 0 || $0 == $1 })
                model.replaceSubrange(range, with: now)
            default:
                #expect(try read(storage, range) == Array(model[range]), "turn \(turn)")
            }
        }
        #expect(try read(storage, 0..<size) == model)
        #expect(try files.bytes("base") == content)
    }

    @Test("Discarded blocks are zeros that take no space")
    func discard() throws {
        _ = try files.make("base", pattern(1 << 20))
        let storage = try overlay()
        try write(storage, [UInt8](repeating: 3, count: 1 << 19), at: 0)
        let full = try files.space(of: "overlay")
        try storage.discard(0..<(1 << 20))
        #expect(try read(storage, 0..<(1 << 20)).allSatisfy { $0 == 0 })
        #expect(try files.space(of: "overlay") <= full - (1 << 19))
    }

    @Test("An overlay is never an existing file, and its set of blocks is never of a size that cannot be")
    func refusals() throws {
        _ = try files.make("base", pattern(512))
        _ = try files.make("overlay", [1])
        #expect(throws: SystemCallError("open", errno: EEXIST, files.path + "/overlay")) { try overlay() }
        #expect(throws: SystemCallError("ftruncate", errno: EFBIG, files.path + "/huge")) {
            try overlay("huge", size: .max)
        }
        #expect(access(files.path + "/huge", F_OK) != 0)
        #expect(try files.bytes("overlay") == [1])
    }
}

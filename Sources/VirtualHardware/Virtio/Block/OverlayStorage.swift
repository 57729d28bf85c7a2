import Glibc
import HostSystem
import Synchronization

/// A copy-on-write disk: writes go to its own sparse overlay file; the base never changes and can be shared by any number of
/// guests.
///
/// The set of overlay blocks is in memory only, so the overlay is useless after the machine's end, and `flush` has nothing to do.
/// A snapshot keeps it as a layer, which lies between the base and the overlay of a restored machine: three files at most,
/// however many generations there were.
package final class OverlayStorage: BlockStorage {
    /// The block size in bytes, a file system's, so that a copied block takes only its own space.
    static let blockSize: UInt64 = 4096
    /// The largest disk, 16 TiB (what ext4 takes as one file); its set of blocks is 512 MiB, of which the touched part counts.
    static let largest: UInt64 = 1 << 44

    private let base: BackingFile
    private let layer: Below?
    private let overlay: BackingFile
    package let size: UInt64
    package var isReadOnly: Bool { false }

    /// One bit for each block that is in the overlay: 32 KiB for each GiB of disk.
    private let present: Mutex<BlockSet>

    /// The saved changes of a disk: blocks at their offsets in a file that never changes.
    package struct Layer: Sendable, Hashable {
        package var path: String
        /// Which blocks of `OverlayStorage.blockSize` bytes it has, in ascending order; the others are the base's.
        package var blocks: [Range<UInt64>]

        package init(path: String, blocks: [Range<UInt64>]) {
            self.path = path
            self.blocks = blocks
        }
    }

    private final class Below: Sendable {
        let file: BackingFile
        let present: BlockSet

        init(_ file: consuming BackingFile, _ present: BlockSet) {
            self.file = file
            self.present = present
        }
    }

    private enum Source: Equatable {
        case base, layer, overlay
    }

    /// Opens `base`, and `layer` over it, for reading and creates `overlay`, which the caller removes. The disk has the base's
    /// size, or more zeros up to `size` bytes. Throws the kernel's error, and `EINVAL` for a layer with blocks beyond the disk.
    package init(base: String, layer: Layer? = nil, overlay: String, size: UInt64 = 0) throws(SystemCallError) {
        let baseFile = try BackingFile(base, O_RDONLY)
        let bytes = max(baseFile.size, size)
        guard bytes <= Self.largest else { throw SystemCallError("ftruncate", errno: EFBIG, overlay) }
        self.size = (bytes + 511) / 512 * 512
        let count = Int((self.size + Self.blockSize - 1) / Self.blockSize)
        if let layer {
            guard let blocks = BlockSet(layer.blocks, count: count) else {
                throw SystemCallError("open", errno: EINVAL, layer.path)
            }
            self.layer = Below(try BackingFile(layer.path, O_RDONLY), blocks)
        } else {
            self.layer = nil
        }
        var overlayFile = try BackingFile(overlay, O_RDWR | O_CREAT | O_EXCL)
        try overlayFile.resize(to: self.size)
        self.base = baseFile
        self.overlay = overlayFile
        present = Mutex(BlockSet(count: count))
    }

    package func read(_ target: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        try present.withLock { (present: inout BlockSet) throws(SystemCallError) in
            try read(target, at: offset, present)
        }
    }

    private func read(_ target: GuestSegments, at offset: UInt64, _ present: BlockSet) throws(SystemCallError) {
        let end = offset + UInt64(target.count)
        var start = offset
        while start < end {
            let (source, next) = run(from: Self.block(start), to: Self.block(end - 1) + 1, present)
            let stop = min(end, UInt64(next) * Self.blockSize)
            let part = target.slice(Int(start - offset)..<Int(stop - offset))
            switch source {
            case .overlay: try overlay.read(part, at: start)
            case .layer: try layer?.file.read(part, at: start)
            case .base: try base.read(part, at: start)
            }
            start = stop
        }
    }

    /// The location of a block, and the first later block with another one, at most `limit`.
    private func run(from first: Int, to limit: Int, _ present: BlockSet) -> (Source, end: Int) {
        let source = source(of: first, present)
        var end = first + 1
        while end < limit, self.source(of: end, present) == source { end += 1 }
        return (source, end)
    }

    private func source(of block: Int, _ present: BlockSet) -> Source {
        if present.contains(block) { return .overlay }
        return layer?.present.contains(block) ?? false ? .layer : .base
    }

    // MARK: Keeping changes

    /// Writes all blocks that differ from the base, with the layer's, to their offsets in an empty file open for writing, which
    /// gets the disk's length. Returns these blocks, ascending. Only while nobody writes to the disk. Throws the kernel's error.
    package func keepChanges(
        in file: borrowing OwnedDescriptor, _ path: String
    ) throws(SystemCallError) -> [Range<UInt64>] {
        let (size, number) = (size, file.number)
        try file.resize(to: size, path)
        return try present.withLock { (present: inout BlockSet) throws(SystemCallError) in
            var all = present
            if let below = layer?.present { all.formUnion(below) }
            let ranges = all.ranges
            try GuestSegments.withZeroes(Self.copiedAtOnce) { (buffer) throws(SystemCallError) in
                for range in ranges {
                    var start = range.lowerBound * Self.blockSize
                    let end = min(range.upperBound * Self.blockSize, size)
                    while start < end {
                        let part = buffer.slice(0..<Int(min(UInt64(buffer.count), end - start)))
                        try read(part, at: start, present)
                        // Zeros are there already, and take no space.
                        if !part.isZero { try BackingFile.write(part, to: number, at: start, path) }
                        start += UInt64(part.count)
                    }
                }
            }
            return ranges
        }
    }

    private static let copiedAtOnce = 256 << 10

    /// Writes to the overlay; partially written blocks are copied there first.
    package func write(_ source: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        let range = offset..<(offset + UInt64(source.count))
        guard !range.isEmpty else { return }
        try present.withLock { (present: inout BlockSet) throws(SystemCallError) in
            try completeEdges(of: range, &present)
            try overlay.write(source, at: offset)
            present.insert(Self.block(range.lowerBound)...Self.block(range.upperBound - 1))
        }
    }

    package func flush() {}

    /// Whole blocks become zeros that take no space, whatever the base has there.
    package func discard(_ range: Range<UInt64>) throws(SystemCallError) {
        let first = (range.lowerBound + Self.blockSize - 1) / Self.blockSize * Self.blockSize
        let last = range.upperBound == size ? size : range.upperBound / Self.blockSize * Self.blockSize
        guard first < last else { return }
        try present.withLock { (present: inout BlockSet) throws(SystemCallError) in
            guard try overlay.punchHole(first..<last) else { return }
            present.insert(Self.block(first)...Self.block(last - 1))
        }
    }

    package func writeZeroes(_ range: Range<UInt64>, mayFree: Bool) throws(SystemCallError) {
        guard !range.isEmpty else { return }
        try present.withLock { (present: inout BlockSet) throws(SystemCallError) in
            try completeEdges(of: range, &present)
            let isFreed = mayFree ? try overlay.punchHole(range) : false
            if !isFreed { try overlay.writeZeroes(range) }
            present.insert(Self.block(range.lowerBound)...Self.block(range.upperBound - 1))
        }
    }

    private static func block(_ offset: UInt64) -> Int { Int(offset / blockSize) }

    /// Copies the first and the last block of a range up where the range covers them only in part.
    private func completeEdges(of range: Range<UInt64>, _ present: inout BlockSet) throws(SystemCallError) {
        if range.lowerBound % Self.blockSize != 0 { try copyUp(Self.block(range.lowerBound), &present) }
        if range.upperBound % Self.blockSize != 0 && range.upperBound != size {
            try copyUp(Self.block(range.upperBound - 1), &present)
        }
    }

    private func copyUp(_ block: Int, _ present: inout BlockSet) throws(SystemCallError) {
        guard !present.contains(block) else { return }
        let start = UInt64(block) * Self.blockSize
        let count = Int(min(Self.blockSize, size - start))
        try GuestSegments.withZeroes(count) { (bytes) throws(SystemCallError) in
            try read(bytes, at: start, present)
            try overlay.write(bytes, at: start)
        }
        present.insert(block...block)
    }
}

/// A set of block numbers below a fixed count.
struct BlockSet {
    private var words: [UInt64]

    init(count: Int) { words = [UInt64](repeating: 0, count: (count + 63) / 64) }

    /// The blocks of `ranges`; nil when these are empty, out of order, or not below `count`.
    init?(_ ranges: [Range<UInt64>], count: Int) {
        self.init(count: count)
        var end: UInt64 = 0
        for range in ranges {
            guard !range.isEmpty, range.lowerBound >= end, range.upperBound <= UInt64(count) else { return nil }
            insert(Int(range.lowerBound)...Int(range.upperBound - 1))
            end = range.upperBound
        }
    }

    /// Its blocks, in ascending order, as few ranges as can be.
    var ranges: [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        for (index, word) in words.enumerated() where word != 0 {
            for bit in 0..<64 where word >> UInt64(bit) & 1 == 1 {
                let block = UInt64(index) * 64 + UInt64(bit)
                if let last = ranges.last, last.upperBound == block {
                    ranges[ranges.count - 1] = last.lowerBound..<(block + 1)
                } else {
                    ranges.append(block..<(block + 1))
                }
            }
        }
        return ranges
    }

    mutating func formUnion(_ other: BlockSet) {
        for index in words.indices where other.words.indices.contains(index) { words[index] |= other.words[index] }
    }

    func contains(_ block: Int) -> Bool {
        let word = block >> 6
        return words.indices.contains(word) && words[word] >> UInt64(block & 63) & 1 == 1
    }

    mutating func insert(_ blocks: ClosedRange<Int>) {
        for block in blocks where words.indices.contains(block >> 6) { words[block >> 6] |= 1 << UInt64(block & 63) }
    }
}

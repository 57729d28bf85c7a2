import Glibc
import HostSystem
import Synchronization

/// A disk that starts as another file and keeps what is written in a sparse file of its own: the base never changes, and
/// any number of guests can share it.
///
/// Which blocks are in the overlay is known in memory only, so the overlay is of no use to anybody after the machine's end.
/// That is why `flush` has nothing to do.
public final class OverlayStorage: BlockStorage {
    /// Bytes of a block: a file system's, so that a copied block costs just its own space.
    static let blockSize: UInt64 = 4096
    /// The largest disk, 16 TiB (what ext4 takes as one file); its set of blocks is 512 MiB, of which the touched part counts.
    static let largest: UInt64 = 1 << 44

    private let base: DiskFile
    private let overlay: DiskFile
    /// Bytes, a multiple of 512.
    public let size: UInt64
    /// It can always be written.
    public var isReadOnly: Bool { false }

    /// One bit for each block that is in the overlay: 32 KiB for each GiB of disk.
    private let present: Mutex<BlockSet>

    /// Opens `base` for reading and makes the file `overlay`, which must not exist; the caller removes it.
    ///
    /// The disk has the base's size, or `size` bytes if that is more; it ends in zeros. Throws what the kernel says.
    public init(base: String, overlay: String, size: UInt64 = 0) throws(SystemCallError) {
        let baseFile = try DiskFile(base, O_RDONLY)
        let bytes = max(baseFile.size, size)
        guard bytes <= Self.largest else { throw SystemCallError("ftruncate", errno: EFBIG, overlay) }
        var overlayFile = try DiskFile(overlay, O_RDWR | O_CREAT | O_EXCL)
        self.size = (bytes + 511) / 512 * 512
        try overlayFile.resize(to: self.size)
        self.base = baseFile
        self.overlay = overlayFile
        present = Mutex(BlockSet(count: Int((self.size + Self.blockSize - 1) / Self.blockSize)))
    }

    /// What is in the overlay ends with this machine.
    public var snapshotObstacle: String? {
        present.withLock { $0.isEmpty } ? nil : "its overlay holds changes, which a snapshot does not keep"
    }

    /// Reads each block from where it is.
    public func read(_ target: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        let end = offset + UInt64(target.count)
        try present.withLock { (present: inout BlockSet) throws(SystemCallError) in
            var start = offset
            while start < end {
                let first = Self.block(start)
                let isPresent = present.contains(first)
                let next = present.endOfRun(from: first, to: Self.block(end - 1) + 1)
                let stop = min(end, UInt64(next) * Self.blockSize)
                let part = target.slice(Int(start - offset)..<Int(stop - offset))
                if isPresent { try overlay.read(part, at: start) } else { try base.read(part, at: start) }
                start = stop
            }
        }
    }

    /// Writes into the overlay; blocks that are written in part are copied there first.
    public func write(_ source: GuestSegments, at offset: UInt64) throws(SystemCallError) {
        let range = offset..<(offset + UInt64(source.count))
        guard !range.isEmpty else { return }
        try present.withLock { (present: inout BlockSet) throws(SystemCallError) in
            try completeEdges(of: range, &present)
            try overlay.write(source, at: offset)
            present.insert(Self.block(range.lowerBound)...Self.block(range.upperBound - 1))
        }
    }

    /// Nothing: see above.
    public func flush() {}

    /// Whole blocks become zeros that take no space, whatever the base has there.
    public func discard(_ range: Range<UInt64>) throws(SystemCallError) {
        let first = (range.lowerBound + Self.blockSize - 1) / Self.blockSize * Self.blockSize
        let last = range.upperBound == size ? size : range.upperBound / Self.blockSize * Self.blockSize
        guard first < last else { return }
        try present.withLock { (present: inout BlockSet) throws(SystemCallError) in
            guard try overlay.punchHole(first..<last) else { return }
            present.insert(Self.block(first)...Self.block(last - 1))
        }
    }

    /// Zeros in the overlay, that take no space when `mayFree`.
    public func writeZeroes(_ range: Range<UInt64>, mayFree: Bool) throws(SystemCallError) {
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
            try base.read(bytes, at: start)
            try overlay.write(bytes, at: start)
        }
        present.insert(block...block)
    }
}

/// A set of block numbers below a fixed count.
struct BlockSet {
    private var words: [UInt64]

    init(count: Int) { words = [UInt64](repeating: 0, count: (count + 63) / 64) }

    func contains(_ block: Int) -> Bool {
        let word = block >> 6
        return words.indices.contains(word) && words[word] >> UInt64(block & 63) & 1 == 1
    }

    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    mutating func insert(_ blocks: ClosedRange<Int>) {
        for block in blocks where words.indices.contains(block >> 6) { words[block >> 6] |= 1 << UInt64(block & 63) }
    }

    /// The first block behind `first` that differs from it, at most `limit`.
    func endOfRun(from first: Int, to limit: Int) -> Int {
        let isPresent = contains(first)
        var block = first + 1
        while block < limit && contains(block) == isPresent { block += 1 }
        return block
    }
}

/// A disk's configuration space (virtio 1.2, 5.2.3 and 5.2.4).
enum BlockConfiguration {
    /// The largest piece that one discard gives back: 2 GiB.
    static let mostDiscardSectors: UInt32 = 1 << 22
    /// The largest piece that one request fills with zeros, in case they have to be written: 16 MiB.
    static let mostZeroSectors: UInt32 = 1 << 15
    /// Pieces in one such request.
    static let mostExtents = 16

    static let sectorSize: UInt64 = 512

    static func features(of storage: any BlockStorage) -> VirtioFeatures {
        let always: VirtioFeatures = [.blockSegmentMax, .blockSize, .blockTopology]
        return always.union(storage.isReadOnly ? .blockReadOnly : [.blockFlush, .blockDiscard, .blockWriteZeroes])
    }

    /// `struct virtio_blk_config`.
    static func bytes(of storage: any BlockStorage) -> [UInt8] {
        var bytes: [UInt8] = []
        func add(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
        }
        add(storage.size / sectorSize)  // capacity
        add(UInt32(0))  // size_max: not offered
        add(UInt32(BlockDevice.queueSize) - 2)  // seg_max: two more are the header and the status
        add(UInt32(0))  // geometry: not offered
        add(UInt32(sectorSize))  // blk_size
        add(UInt8(3))  // physical_block_exp: 4 KiB, the host's pages
        add(UInt8(0))  // alignment_offset
        add(UInt16(8))  // min_io_size, in logical blocks
        add(UInt32(0))  // opt_io_size: none
        add(UInt8(0))  // writeback: not offered
        add(UInt8(0))
        add(UInt16(1))  // num_queues
        add(mostDiscardSectors)
        add(UInt32(mostExtents))
        add(UInt32(8))  // discard_sector_alignment
        add(mostZeroSectors)
        add(UInt32(mostExtents))
        add(UInt8(1))  // write_zeroes_may_unmap
        bytes += [0, 0, 0]
        return bytes
    }
}

extension VirtioFeatures {
    fileprivate static let blockSegmentMax = VirtioFeatures(rawValue: 1 << 2)
    static let blockReadOnly = VirtioFeatures(rawValue: 1 << 5)
    fileprivate static let blockSize = VirtioFeatures(rawValue: 1 << 6)
    fileprivate static let blockFlush = VirtioFeatures(rawValue: 1 << 9)
    fileprivate static let blockTopology = VirtioFeatures(rawValue: 1 << 10)
    static let blockDiscard = VirtioFeatures(rawValue: 1 << 13)
    static let blockWriteZeroes = VirtioFeatures(rawValue: 1 << 14)
}

/// A request to a block device, parsed from its buffers (virtio 1.2, 5.2.6).
struct BlockRequest {
    struct Kind {
        static let read: UInt32 = 0
        static let write: UInt32 = 1
        static let flush: UInt32 = 4
        static let identifier: UInt32 = 8
        static let discard: UInt32 = 11
        static let writeZeroes: UInt32 = 13
    }

    /// The answer, in the last writable byte.
    enum Status: UInt8 {
        case ok = 0
        case ioError = 1
        case unsupported = 2
    }

    /// `virtio_blk_req`'s first fields.
    struct Header: BitwiseCopyable {
        var kind: UInt32
        var reserved: UInt32
        var sector: UInt64
    }

    /// `virtio_blk_discard_write_zeroes`, of 16 bytes.
    struct Extent: BitwiseCopyable {
        var sector: UInt64
        var sectors: UInt32
        var flags: UInt32
    }

    let header: Header
    let source: GuestSegments
    let target: GuestSegments
    private let statusByte: GuestSegments

    /// Nil when there is no whole header, or no byte for the status. Where one buffer ends and the next begins means nothing.
    init?(_ chain: DescriptorChain) {
        guard let header = chain.readable.load(Header.self), chain.writable.count > 0 else { return nil }
        self.header = header
        source = chain.readable.slice(MemoryLayout<Header>.size..<chain.readable.count)
        target = chain.writable.slice(0..<(chain.writable.count - 1))
        statusByte = chain.writable.slice((chain.writable.count - 1)..<chain.writable.count)
    }

    /// Writes the status; says how many bytes from the first writable one on are written now, if `filled` of the target are.
    func answer(_ status: Status, filled: Int) -> Int {
        withUnsafeBytes(of: status.rawValue) { _ = statusByte.copy(from: $0) }
        return filled == target.count ? filled + 1 : filled
    }
}

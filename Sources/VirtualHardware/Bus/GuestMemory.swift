import Glibc
import HostSystem

/// The guest's RAM as the host sees it: some ranges of guest-physical addresses, each one mapping of this process. Every access is
/// checked: an address comes from the guest and may be anything. The guest's processors read and write the same bytes at the same
/// time, so a value that matters is read once and then checked, never the other way round.
package final class GuestMemory: @unchecked Sendable {
    // Unchecked for the raw pointers: the regions never change after `init`, and no lock could order the guest's writes.

    package struct Region: Sendable {
        /// Guest-physical address of its first byte, page-aligned.
        package let base: UInt64
        /// Bytes, a multiple of the page size.
        package let size: UInt64
        package let host: UInt

        package var end: UInt64 { base + size }
    }

    /// Its initial bytes and their place. A descriptor is needed only until `init` returns; the file has RAM's bytes, range by
    /// range.
    package enum Backing: Sendable {
        /// Zeros, kept in memory of this process.
        case memory
        /// The bytes of a file that is open for reading: each page is read when it is touched and copied when it is written,
        /// so that the file never changes and any number of machines share its pages. The file must stay as it is.
        case copy(of: Int32)
        /// The bytes of a file that is open for reading and writing, and kept there: it is the memory, at every moment.
        case file(Int32)
    }

    /// In ascending order, not overlapping.
    package let regions: [Region]
    private let backing: Backing

    /// Bytes of a large page of the processor's.
    package static let largePage: UInt64 = 2 << 20
    /// From how many bytes on a region asks for large pages: a smaller one would be full of half-used ones.
    private static let leastForLargePages: UInt64 = 64 << 20

    /// Maps RAM that takes no memory until it is touched. A region begins where a large page of the host's would, so that KVM can
    /// map it by large pages: a booting guest then exits for a missing page 30 times less often. `ranges` must be page-aligned,
    /// ascending and disjoint; throws `EINVAL` otherwise, and the kernel's error.
    package init(ranges: [Range<UInt64>], backing: Backing = .memory) throws(SystemCallError) {
        self.backing = backing
        var offset: UInt64 = 0
        var regions: [Region] = []
        for range in ranges {
            let size = range.upperBound - range.lowerBound
            guard range.lowerBound % 4096 == 0, size % 4096 == 0, size > 0, size <= UInt64(Int.max),
                regions.last.map({ $0.end <= range.lowerBound }) ?? true
            else { throw SystemCallError("mmap", errno: EINVAL, "guest memory") }
            do throws(SystemCallError) {
                let start = try Self.map(size)
                regions.append(Region(base: range.lowerBound, size: size, host: UInt(bitPattern: start)))
                switch backing {
                case .memory: break
                case .copy(let file): try Self.place(MAP_PRIVATE, file, offset, at: start, size)
                case .file(let file): try Self.place(MAP_SHARED, file, offset, at: start, size)
                }
                offset += size
            } catch {
                for region in regions { munmap(UnsafeMutableRawPointer(bitPattern: region.host), Int(region.size)) }
                throw error
            }
        }
        self.regions = regions
    }

    /// A mapping that begins with a large page: one that is too long, without its ends.
    private static func map(_ size: UInt64) throws(SystemCallError) -> UnsafeMutableRawPointer {
        let (length, overflow) = size.addingReportingOverflow(largePage)
        guard !overflow, let length = Int(exactly: length) else {
            throw SystemCallError("mmap", errno: ENOMEM, "guest memory")
        }
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let whole = mmap(nil, length, PROT_READ | PROT_WRITE, flags, -1, 0), whole != MAP_FAILED else {
            throw SystemCallError("mmap", "guest memory")
        }
        let start = whole.alignedUp(toMultipleOf: Int(largePage))
        let before = start - whole
        if before > 0 { munmap(whole, before) }
        munmap(start + Int(size), Int(largePage) - before)
        askForLargePages(start, size)
        return start
    }

    /// Where the host never gives large pages this fails, and small ones do.
    private static func askForLargePages(_ start: UnsafeMutableRawPointer, _ size: UInt64) {
        if size >= leastForLargePages { madvise(start, Int(size), MADV_HUGEPAGE) }
    }

    private static func place(
        _ flags: Int32, _ file: Int32, _ offset: UInt64, at start: UnsafeMutableRawPointer, _ size: UInt64
    ) throws(SystemCallError) {
        let all = flags | MAP_FIXED | MAP_NORESERVE
        guard mmap(start, Int(size), PROT_READ | PROT_WRITE, all, file, off_t(clamping: offset)) != MAP_FAILED else {
            throw SystemCallError("mmap", "guest memory")
        }
    }

    deinit {
        for region in regions { munmap(UnsafeMutableRawPointer(bitPattern: region.host), Int(region.size)) }
    }

    /// Zeroes all of it and returns its memory to the host as far as possible. Throws when the host has no room for a mapping.
    package func clear() throws(SystemCallError) {
        for region in regions {
            guard let start = UnsafeMutableRawPointer(bitPattern: region.host) else { continue }
            switch backing {
            case .memory:
                madvise(start, Int(region.size), MADV_DONTNEED)
            case .copy:
                // Dropped pages of a file's mapping would be read from the file again.
                try Self.place(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, at: start, region.size)
                Self.askForLargePages(start, region.size)
            case .file:
                // A hole in the file, where its file system has holes.
                if madvise(start, Int(region.size), MADV_REMOVE) != 0 { memset(start, 0, Int(region.size)) }
            }
        }
    }

    /// The host's view of `count` bytes of guest memory, which must lie in one region. Throws `GuestMemoryError` when they do not,
    /// for any address and count. Valid as long as this object lives.
    package func bytes(at address: UInt64, count: UInt64) throws(GuestMemoryError) -> UnsafeMutableRawBufferPointer {
        let (end, overflow) = address.addingReportingOverflow(count)
        guard !overflow, let region = regions.first(where: { $0.base <= address && end <= $0.end }),
            let host = UnsafeMutableRawPointer(bitPattern: region.host)
        else { throw GuestMemoryError(address: address, count: count) }
        return UnsafeMutableRawBufferPointer(start: host + Int(address - region.base), count: Int(count))
    }

    /// Reads a value that need not be aligned. Little-endian, as the guest is.
    package func load<Value: BitwiseCopyable>(
        _ type: Value.Type = Value.self, at address: UInt64
    ) throws(GuestMemoryError) -> Value {
        try bytes(at: address, count: UInt64(MemoryLayout<Value>.size)).loadUnaligned(as: type)
    }

    /// Writes a value, which need not be aligned.
    package func store<Value: BitwiseCopyable>(_ value: Value, at address: UInt64) throws(GuestMemoryError) {
        try bytes(at: address, count: UInt64(MemoryLayout<Value>.size)).storeBytes(of: value, as: Value.self)
    }

    package func write(_ bytes: some Collection<UInt8>, at address: UInt64) throws(GuestMemoryError) {
        try self.bytes(at: address, count: UInt64(bytes.count)).copyBytes(from: bytes)
    }
}

/// An address range that is not guest RAM.
package struct GuestMemoryError: Error, Sendable, Hashable, CustomStringConvertible {
    package let address: UInt64
    package let count: UInt64

    package var description: String {
        "\(count) bytes at guest address 0x\(String(address, radix: 16)) are not in its RAM"
    }
}

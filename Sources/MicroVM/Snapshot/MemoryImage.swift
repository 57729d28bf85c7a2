import Glibc
import HostSystem
import VirtualHardware

/// A machine's memory as a file: the ranges of RAM one after the other, page by page as they were, pages of zeros being
/// holes; then its label. Mapped by a restored machine, and never written again.
enum MemoryImage {
    private static let pageSize = SnapshotLabel.pageSize
    private static let mostPages = 1024

    /// Writes the memory of a held machine to an empty file. Throws what the kernel says.
    static func write(
        _ memory: GuestMemory, identity: [UInt8], to file: borrowing OwnedDescriptor, _ path: String
    ) throws(SystemCallError) {
        let size = memory.regions.reduce(0) { $0 + $1.size }
        try file.resize(to: size, path)
        var offset: UInt64 = 0
        for region in memory.regions {
            guard let start = UnsafeRawPointer(bitPattern: region.host) else { continue }
            try write(UnsafeRawBufferPointer(start: start, count: Int(region.size)), to: file, at: offset, path)
            offset += region.size
        }
        try SnapshotLabel.write(.memory, after: size, identity: identity, to: file, path)
    }

    /// Writes the runs of pages that are not zeros.
    private static func write(
        _ region: UnsafeRawBufferPointer, to file: borrowing OwnedDescriptor, at offset: UInt64, _ path: String
    ) throws(SystemCallError) {
        let zeroes = [UInt8](repeating: 0, count: pageSize)
        let pages = region.count / pageSize
        var page = 0
        func isEmpty(_ page: Int) -> Bool {
            guard let base = region.baseAddress else { return true }
            return memcmp(base + page * pageSize, zeroes, pageSize) == 0
        }
        while page < pages {
            if isEmpty(page) {
                page += 1
                continue
            }
            var end = page + 1
            while end < pages, end - page < mostPages, !isEmpty(end) { end += 1 }
            let run = UnsafeRawBufferPointer(rebasing: region[(page * pageSize)..<(end * pageSize)])
            try writeAll(file.number, run, at: Int(offset) + page * pageSize, path)
            page = end
        }
    }
}

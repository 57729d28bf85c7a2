import Glibc
import HostSystem
import VirtualHardware

/// A machine's memory as a file: the ranges of RAM one after the other, page by page as they were, pages of zeros being
/// holes; then a page that says whose memory it is. Mapped by a restored machine, and never written again.
enum MemoryImage {
    private static let pageSize = 4096
    private static let magic: [UInt8] = Array("VMLABMEM".utf8)
    /// Pages written at once.
    private static let mostPages = 1024

    /// The last page: magic, version, bytes of RAM, identity.
    private static func label(_ size: UInt64, _ identity: [UInt8]) -> [UInt8] {
        var label = StateEncoder()
        for byte in magic { label.add(byte) }
        label.add(MachineSnapshot.version)
        label.add(size)
        label.add(identity)
        return label.bytes
    }

    /// Writes the memory of a held machine to a new file. Throws what the kernel says, `EEXIST` for a file that is there.
    static func write(_ memory: GuestMemory, identity: [UInt8], to path: String) throws(SystemCallError) {
        let file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
        let number = file.number
        let size = memory.regions.reduce(0) { $0 + $1.size }
        try systemCall("ftruncate", path) { ftruncate(number, off_t(clamping: size) + off_t(pageSize)) }
        var offset: UInt64 = 0
        for region in memory.regions {
            guard let start = UnsafeRawPointer(bitPattern: region.host) else { continue }
            try write(UnsafeRawBufferPointer(start: start, count: Int(region.size)), to: number, at: offset, path)
            offset += region.size
        }
        let label = label(size, identity)
        let written = try systemCall("pwrite", path) { pwrite(number, label, label.count, off_t(clamping: size)) }
        guard written == label.count else { throw SystemCallError("pwrite", errno: ENOSPC, path) }
    }

    /// Writes the runs of pages that are not zeros.
    private static func write(
        _ region: UnsafeRawBufferPointer, to file: Int32, at offset: UInt64, _ path: String
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
            try put(
                UnsafeRawBufferPointer(rebasing: region[(page * pageSize)..<(end * pageSize)]), to: file,
                at: offset + UInt64(page * pageSize), path)
            page = end
        }
    }

    private static func put(
        _ bytes: UnsafeRawBufferPointer, to file: Int32, at offset: UInt64, _ path: String
    ) throws(SystemCallError) {
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let place = off_t(clamping: offset + UInt64(done))
            done += try systemCall("pwrite", path) { pwrite(file, base + done, bytes.count - done, place) }
        }
    }

    /// Opens the memory that belongs to a snapshot, for mapping. Throws why it is not that.
    static func open(_ path: String, for snapshot: MachineSnapshot) throws(SnapshotError) -> HostFile {
        let expected = label(snapshot.memory, snapshot.identity)
        let (file, label): (HostFile, [UInt8])
        do throws(SystemCallError) {
            file = try HostFile(path)
            label = try file.bytes(at: snapshot.memory, count: expected.count)
        } catch {
            throw SnapshotError("its memory cannot be read: \(error)")
        }
        let (size, overflow) = snapshot.memory.addingReportingOverflow(UInt64(pageSize))
        guard !overflow, file.size == size else {
            throw SnapshotError("its memory in \(path) has \(file.size) bytes instead of \(size)")
        }
        guard label == expected else {
            throw SnapshotError("its memory in \(path) is another machine's, or was not written to its end")
        }
        return file
    }
}

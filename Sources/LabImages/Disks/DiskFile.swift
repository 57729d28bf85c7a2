import Glibc
import HostSystem
import LabSpec

/// A disk file, opened to read its headers.
struct DiskFile: ~Copyable {
    let size: UInt64
    private let descriptor: OwnedDescriptor

    /// Opens it without blocking on a FIFO. Throws the kernel's error, or `EISDIR` when it is neither a file nor a block device.
    init(_ path: String) throws(SystemCallError) {
        let file = try OwnedDescriptor.open(path, O_RDONLY | O_NONBLOCK)
        guard [S_IFREG, S_IFBLK].contains(try file.status(path).st_mode & S_IFMT) else {
            throw SystemCallError("open", errno: EISDIR, path)
        }
        let number = file.number
        size = UInt64(clamping: try systemCall("lseek", path) { lseek(number, 0, SEEK_END) })
        descriptor = file
    }

    /// Up to `count` bytes; none when the file cannot be read.
    func bytes(at place: DiskSignature.Place, _ count: Int) -> [UInt8] {
        switch place {
        case .start(let offset): bytes(at: UInt64(offset), count)
        case .end(let distance): size < UInt64(distance) ? [] : bytes(at: size - UInt64(distance), count)
        }
    }

    func bytes(at offset: UInt64, _ count: Int) -> [UInt8] {
        guard offset < size else { return [] }
        return (try? descriptor.read(upTo: count, at: Int(offset))) ?? []
    }

    /// A big-endian number of `count` bytes; nil when the file is too short.
    func bigEndian(at offset: UInt64, _ count: Int) -> UInt64? {
        let bytes = bytes(at: offset, count)
        return bytes.count == count ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : nil
    }

    /// A little-endian number of `count` bytes; nil when the file is too short.
    func littleEndian(at offset: UInt64, _ count: Int) -> UInt64? {
        let bytes = bytes(at: offset, count)
        return bytes.count == count ? bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } : nil
    }
}

extension ImageDisk.Format {
    /// The virtual size of a disk file of this format in bytes; a raw file is rounded up to whole sectors. Throws the kernel's
    /// error, and `EINVAL` for a damaged file or a format whose header is not read here.
    package func virtualSize(of path: String) throws(SystemCallError) -> UInt64 {
        let file = try DiskFile(path)
        let sector: UInt64 = 512
        switch self {
        case .raw, .iso: return file.size / sector * sector + (file.size % sector == 0 ? 0 : sector)
        case .qcow2:
            if let header = QCow2Header(file) { return header.size }
        case .vmdk, .vdi, .vhd, .vhdx, .qed, .parallels: break
        }
        throw SystemCallError("read", errno: EINVAL, path)
    }
}

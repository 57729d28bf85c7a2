import Glibc
import HostSystem

/// A file of the host that the guest boots from, read in pieces. Stays open as long as the machine: a reset reads it again,
/// when the sandbox no longer opens files.
final class HostFile: Sendable {
    let path: String
    let size: UInt64
    private let descriptor: OwnedDescriptor

    /// Its descriptor, valid as long as this object lives.
    var number: Int32 { descriptor.number }

    /// Throws what the kernel says, and `EISDIR` or `ENODEV` for what is no file.
    init(_ path: String) throws(SystemCallError) {
        self.path = path
        descriptor = try OwnedDescriptor.open(path, O_RDONLY)
        var status = stat()
        let number = descriptor.number
        try systemCall("fstat", path) { fstat(number, &status) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SystemCallError("open", errno: ENODEV, path) }
        size = UInt64(max(0, status.st_size))
    }

    /// Reads bytes at a place in the file. Throws `EIO` where the file ends before.
    func read(_ target: UnsafeMutableRawBufferPointer, at place: UInt64) throws(SystemCallError) {
        var done = 0
        let number = descriptor.number
        while done < target.count {
            guard let base = target.baseAddress, let offset = off_t(exactly: place &+ UInt64(done)) else {
                throw SystemCallError("pread", errno: EOVERFLOW, path)
            }
            let count = try systemCall("pread", path) { pread(number, base + done, target.count - done, offset) }
            guard count > 0 else { throw SystemCallError("pread", errno: EIO, path) }
            done += count
        }
    }

    /// Some bytes of the file; fewer where it ends before.
    func bytes(at place: UInt64, count: Int) throws(SystemCallError) -> [UInt8] {
        guard place < size else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(min(UInt64(max(count, 0)), size - place)))
        let failure = bytes.withUnsafeMutableBytes { buffer -> SystemCallError? in
            do throws(SystemCallError) {
                try read(buffer, at: place)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        return bytes
    }
}

/// Little-endian fields of a header.
extension [UInt8] {
    /// The number of this width at an offset; nil where the bytes end before.
    func field<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: UInt64, _ type: Value.Type) -> Value? {
        let width = UInt64(MemoryLayout<Value>.size)
        guard offset <= UInt64(count), UInt64(count) - offset >= width else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Int(offset), as: type) }
    }
}

import CLinux
import Glibc

/// Writes all of the bytes to a descriptor, at an offset or at its current position. Waits when the descriptor is non-blocking, as
/// a terminal or pipe shared with other processes may be.
public func writeAll(
    _ descriptor: Int32, _ bytes: ArraySlice<UInt8>, at offset: Int? = nil, _ subject: String? = nil
) throws(SystemCallError) {
    let result = bytes.withUnsafeBytes { buffer in
        Result { () throws(SystemCallError) in try writeAll(descriptor, buffer, at: offset, subject) }
    }
    try result.get()
}

/// The same of bytes anywhere in memory.
public func writeAll(
    _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int? = nil, _ subject: String? = nil
) throws(SystemCallError) {
    var done = 0
    while done < bytes.count {
        do throws(SystemCallError) {
            let start = bytes.baseAddress.map { $0 + done }
            let count = try systemCall("write", subject) {
                guard let offset else { return write(descriptor, start, bytes.count - done) }
                return pwrite(descriptor, start, bytes.count - done, off_t(offset + done))
            }
            guard count > 0 else { throw SystemCallError("write", errno: EIO, subject) }
            done += count
        } catch {
            guard error.errno == EAGAIN else { throw error }
            var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&ready, 1, -1)
        }
    }
}

extension OwnedDescriptor {
    /// Writes the file to its disk (fsync), which may be slow.
    public borrowing func flush(_ subject: String? = nil) throws(SystemCallError) {
        let number = number
        try systemCall("fsync", subject) { fsync(number) }
    }

    /// Truncates or extends the file to `size` bytes; the extension is a hole.
    public borrowing func resize(to size: UInt64, _ subject: String? = nil) throws(SystemCallError) {
        guard let length = off_t(exactly: size) else { throw SystemCallError("ftruncate", errno: EFBIG, subject) }
        let number = number
        try systemCall("ftruncate", subject) { ftruncate(number, length) }
    }

    /// Punches a hole into the first `length` bytes, which then read as zeros; no effect where the file system cannot.
    public borrowing func punchHole(length: UInt64) {
        _ = vmlab_punch_hole(number, 0, Int64(clamping: length))
    }

    /// An unnamed empty file on the file system of a folder, deleted when closed.
    public static func temporaryFile(
        in folder: String = Environment.temporaryFolder
    ) throws(SystemCallError) -> OwnedDescriptor {
        do throws(SystemCallError) {
            return try open(folder, O_RDWR | __O_TMPFILE)
        } catch {
            // Not every file system supports this (some overlays do not): then a named file that is unlinked at once.
            let path = "\(folder)/vmlab-\(getpid())-\(UInt64.random(in: 0 ... .max))"
            let file = try open(path, O_RDWR | O_CREAT | O_EXCL)
            unlink(path)
            return file
        }
    }

    /// A memfd that holds `bytes`, positioned at its beginning: passes a child more than fits a pipe. `name` is shown in `/proc`.
    public static func memoryFile(_ name: String, holding bytes: [UInt8]) throws(SystemCallError) -> OwnedDescriptor {
        let file = OwnedDescriptor(owning: try systemCall("memfd_create") { vmlab_memory_file(name) })
        // A write at an offset leaves the position at the beginning.
        try writeAll(file.number, bytes[...], at: 0, name)
        return file
    }
}

import Glibc
import HostSystem

/// A file without a name, gone with its owner.
struct TemporaryFile: ~Copyable {
    private let file: OwnedDescriptor

    init() throws(SystemCallError) {
        let folder = Environment["TMPDIR"] ?? "/tmp"
        do throws(SystemCallError) {
            file = try OwnedDescriptor.open(folder, O_RDWR | __O_TMPFILE)
        } catch {
            // Not every file system can (some overlays): then one with a name, for a moment.
            let path = "\(folder)/vmlab-\(getpid())-\(UInt64.random(in: 0 ... .max))"
            file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
            unlink(path)
        }
    }

    /// Valid while the value lives.
    var descriptor: Int32 { file.number }

    /// Goes back to the beginning.
    func rewind() throws(SystemCallError) {
        guard lseek(file.number, 0, SEEK_SET) == 0 else { throw SystemCallError("lseek") }
    }

    /// All that was written to it.
    func bytes() throws(SystemCallError) -> [UInt8] {
        try SmallFile.bytes("/proc/self/fd/\(file.number)", limit: .max)
    }
}

/// Writes all of the bytes to a blocking descriptor.
func writeAll(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) throws(SystemCallError) {
    var rest = bytes
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 {
            if errno == EINTR { continue }
            throw SystemCallError("write")
        }
        rest = rest.dropFirst(count)
    }
}

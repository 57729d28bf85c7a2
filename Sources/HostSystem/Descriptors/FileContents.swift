import CLinux
import Glibc

extension OwnedDescriptor {
    /// Gives back the space of the file's first `length` bytes, which then read as zeros. A file system that cannot do so
    /// keeps them as they are: nothing is reported.
    public borrowing func punchHole(length: UInt64) {
        _ = vmlab_punch_hole(number, 0, Int64(clamping: length))
    }

    /// A file in memory without a name that holds `bytes`, to be read from its beginning: for handing a child more than fits a
    /// pipe. `name` is for people who look at `/proc`.
    public static func memoryFile(_ name: String, holding bytes: [UInt8]) throws(SystemCallError) -> OwnedDescriptor {
        let file = OwnedDescriptor(owning: try systemCall("memfd_create") { vmlab_memory_file(name) })
        let number = file.number
        var start = 0
        while start < bytes.count {
            start += try systemCall("write", name) {
                bytes[start...].withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
            }
        }
        try systemCall("lseek", name) { lseek(number, 0, SEEK_SET) }
        return file
    }
}

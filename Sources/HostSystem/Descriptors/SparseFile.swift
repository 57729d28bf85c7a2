import CLinux
import Glibc

extension OwnedDescriptor {
    /// Makes the file exactly so long; what is added takes no space.
    public borrowing func resize(to length: UInt64) throws(SystemCallError) {
        let number = number
        try systemCall("ftruncate") { ftruncate(number, off_t(clamping: length)) }
    }

    /// Gives back the space of the file's first `length` bytes, which then read as zeros. A file system that cannot do so
    /// keeps them as they are: nothing is reported.
    public borrowing func punchHole(length: UInt64) {
        _ = vmlab_punch_hole(number, Int64(clamping: length))
    }
}

import CLinux
import Glibc

extension OwnedDescriptor {
    /// Gives back the space of the file's first `length` bytes, which then read as zeros. A file system that cannot do so
    /// keeps them as they are: nothing is reported.
    public borrowing func punchHole(length: UInt64) {
        _ = vmlab_punch_hole(number, 0, Int64(clamping: length))
    }
}

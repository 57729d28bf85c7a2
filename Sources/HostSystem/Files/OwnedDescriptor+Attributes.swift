import CLinux
import Glibc

extension OwnedDescriptor {
    /// Sets when the file was last written, to the nanosecond where the file system keeps them. Nothing is reported.
    public borrowing func setModified(_ time: timespec) {
        _ = futimens(number, [time, time])
    }

    /// Gives the file an extended attribute. False where its file system has none.
    @discardableResult
    public borrowing func setAttribute(_ name: [UInt8], _ value: [UInt8]) -> Bool {
        let number = number
        return withCString(name) { vmlab_set_attribute(number, $0, value, value.count) } == 0
    }
}

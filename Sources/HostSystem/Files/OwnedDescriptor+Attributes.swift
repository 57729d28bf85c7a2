import CLinux
import Glibc

extension OwnedDescriptor {
    /// Sets the modification time, to the nanosecond where the file system stores it. Errors are ignored.
    public borrowing func setModified(_ time: timespec) {
        _ = futimens(number, [time, time])
    }

    /// Sets an extended attribute. False where the file system has none.
    @discardableResult
    public borrowing func setAttribute(_ name: [UInt8], _ value: [UInt8]) -> Bool {
        let number = number
        return withCString(name) { vmlab_set_attribute(number, $0, value, value.count) } == 0
    }

    /// The extended attributes of the `user.` namespace, without that prefix.
    public borrowing func userAttributes() -> [(name: [UInt8], value: [UInt8])] {
        let number = number
        var names = [CChar](repeating: 0, count: 1 << 16)
        let size = vmlab_list_attributes(number, &names, names.count)
        guard size > 0 else { return [] }
        let prefix = Array("user.".utf8)
        let all = names.prefix(size).split(separator: 0).map { $0.map { UInt8(bitPattern: $0) } }
        return all.filter { $0.starts(with: prefix) }.compactMap { name in
            var value = [UInt8](repeating: 0, count: 1 << 16)
            let count = withCString(name) { vmlab_attribute(number, $0, &value, value.count) }
            return count < 0 ? nil : (Array(name.dropFirst(prefix.count)), Array(value.prefix(count)))
        }
    }
}

import Glibc
import HostSystem

extension OwnedDescriptor {
    /// What was inherited under a number, as an open file of our own, so that it can be made non-blocking without surprising
    /// the shell and others who share it. Where that is not allowed, and for sockets, it is shared.
    static func reopened(_ number: Int32, _ flags: Int32) throws(SystemCallError) -> OwnedDescriptor {
        if let own = try? OwnedDescriptor.open("/proc/self/fd/\(number)", flags | O_NONBLOCK | O_NOCTTY) { return own }
        return OwnedDescriptor(owning: try systemCall("fcntl") { fcntl(number, F_DUPFD_CLOEXEC, 3) })
    }
}

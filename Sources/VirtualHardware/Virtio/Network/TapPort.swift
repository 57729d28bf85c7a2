import CLinux
import Glibc
import HostSystem

/// A network backend on a host tap interface.
package final class TapPort: FramePort {
    private let tun: OwnedDescriptor
    private let gauge: OwnedDescriptor

    /// Attaches to the tap interface `name`, made by root with `ip tuntap add NAME mode tap user USER`. Throws a `TapError`
    /// otherwise.
    package init(name: String) throws(TapError) {
        do throws(SystemCallError) {
            tun = try OwnedDescriptor.open("/dev/net/tun", O_RDWR | O_NONBLOCK)
            let number = tun.number
            try systemCall("TUNSETIFF", name) { vmlab_attach_tap(number, name) }
            gauge = OwnedDescriptor(owning: try systemCall("fcntl") { fcntl(number, F_DUPFD_CLOEXEC, 0) })
        } catch {
            throw TapError(interface: name, cause: error)
        }
    }

    package var number: Int32 { tun.number }

    package func send(_ frame: UnsafeRawBufferPointer) -> Sent {
        if write(tun.number, frame.baseAddress, frame.count) >= 0 { return .delivered }
        // EIO: the interface is down.
        return errno == EAGAIN ? .full : .lost
    }

    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = read(tun.number, buffer.baseAddress, buffer.count)
        return count >= 0 ? count : nil
    }

    package func sendable() -> Int32 { gauge.number }
}

/// A tap interface that cannot be used.
package struct TapError: Error, Sendable, Hashable, CustomStringConvertible {
    package let interface: String
    package let cause: SystemCallError

    package var description: String { "cannot use the tap interface \(interface): \(cause); \(remedy)" }

    private var remedy: String {
        switch (cause.call, cause.errno) {
        case ("open", ENOENT): "the host has no /dev/net/tun: load it with `modprobe tun`"
        case ("open", _): "make /dev/net/tun readable and writable for this user"
        case (_, EPERM): "let root make it for this user: `ip tuntap add \(interface) mode tap user $USER`"
        case (_, EBUSY): "another machine uses it: give each one its own"
        case (_, ENAMETOOLONG): "interface names have at most 15 bytes"
        case (_, EINVAL): "it exists and is no tap interface: choose another name"
        default: "look at it with `ip -details link show \(interface)`"
        }
    }
}

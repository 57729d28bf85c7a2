import Glibc
import HostSystem
import Synchronization

/// The host's side of a pseudo-terminal.
final class Terminal: Sendable {
    /// What the other side opens.
    let path: String

    private let master: Mutex<OwnedDescriptor>
    /// Held open so that the terminal does not end before its shell has opened it.
    private let slave: Mutex<OwnedDescriptor>
    private let readiness: Readiness

    init() throws {
        let descriptor = try OwnedDescriptor.open("/dev/ptmx", O_RDWR | O_NOCTTY)
        // The Glibc module hides posix_openpt and its kin: TIOCSPTLCK and TIOCGPTN are what they do.
        var unlocked: Int32 = 0
        var number: UInt32 = 0
        guard ioctl(descriptor.number, 0x4004_5431, &unlocked) == 0, ioctl(descriptor.number, 0x8004_5430, &number) == 0
        else { throw SystemCallError("ioctl", "/dev/ptmx") }
        path = "/dev/pts/\(number)"
        slave = Mutex(try OwnedDescriptor.open(path, O_RDWR | O_NOCTTY))
        try descriptor.setNonBlocking()
        readiness = try Readiness(of: descriptor.number)
        master = Mutex(descriptor)
    }

    /// The next bytes; empty at the end.
    func read() async throws -> [UInt8] {
        while true {
            let bytes = master.withLock { master -> [UInt8]? in
                guard master.isOpen else { return [] }
                var buffer = [UInt8](repeating: 0, count: 65536)
                let count = Glibc.read(master.number, &buffer, buffer.count)
                if count < 0, errno == EAGAIN || errno == EINTR { return nil }
                return Array(buffer.prefix(max(count, 0)))
            }
            if let bytes { return bytes }
            try await readiness.readable()
        }
    }

    func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = try master.withLock { master throws(SystemCallError) -> Int in
                guard master.isOpen else { throw SystemCallError("write", errno: EPIPE) }
                let count = rest.prefix(1024).withUnsafeBytes { Glibc.write(master.number, $0.baseAddress, $0.count) }
                if count < 0, errno != EAGAIN, errno != EINTR { throw SystemCallError("write") }
                return max(count, 0)
            }
            rest = rest.dropFirst(count)
            if count == 0 { try await readiness.writable() }
        }
    }

    func close() {
        readiness.end()
        master.withLock { $0.close() }
        slave.withLock { $0.close() }
    }
}

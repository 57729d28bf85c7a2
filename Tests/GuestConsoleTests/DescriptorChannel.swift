import Dispatch
import Glibc
import GuestConsole
import Synchronization

/// A byte channel on a descriptor of this process: a pseudo-terminal or a socket.
final class DescriptorChannel: ByteChannel {
    private let descriptor: Int32
    private let wake: (read: Int32, write: Int32)
    private let closed = Mutex(false)
    private let reading = DispatchQueue(label: "read")
    private let writing = DispatchQueue(label: "write")

    /// Takes `descriptor` over.
    init(_ descriptor: Int32) throws {
        var ends: [Int32] = [0, 0]
        guard descriptor >= 0, pipe(&ends) == 0 else { throw SystemError(code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        self.descriptor = descriptor
        wake = (ends[0], ends[1])
    }

    /// Connects to a unix socket.
    convenience init(path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw SystemError(code: errno) }
        try self.init(descriptor)
    }

    deinit {
        Glibc.close(descriptor)
        Glibc.close(wake.read)
        Glibc.close(wake.write)
    }

    func read() async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            reading.async { [self] in
                guard ready(POLLIN) else { return continuation.resume(returning: []) }
                let bytes = withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 1) { buffer in
                    Array(buffer.prefix(max(Glibc.read(descriptor, buffer.baseAddress, buffer.count), 0)))
                }
                continuation.resume(returning: bytes)
            }
        }
    }

    func write(_ bytes: [UInt8]) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            writing.async { [self] in
                var rest = bytes[...]
                while !rest.isEmpty {
                    guard ready(POLLOUT) else { return continuation.resume(throwing: CancellationError()) }
                    // A terminal takes what it has room for; a blocking write would wait where close() cannot end it.
                    let count = rest.prefix(1024).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                    if count < 0 { return continuation.resume(throwing: SystemError(code: errno)) }
                    rest = rest.dropFirst(count)
                }
                continuation.resume()
            }
        }
    }

    func close() {
        let first = closed.withLock { closed in
            defer { closed = true }
            return !closed
        }
        if first { _ = Glibc.write(wake.write, "x", 1) }
    }

    private func ready(_ events: Int32) -> Bool {
        var polls = [
            pollfd(fd: descriptor, events: Int16(events), revents: 0), pollfd(fd: wake.read, events: 1, revents: 0),
        ]
        while poll(&polls, 2, -1) < 0 && errno == EINTR {}
        return polls[1].revents == 0
    }

    struct SystemError: Error {
        var code: Int32
    }
}

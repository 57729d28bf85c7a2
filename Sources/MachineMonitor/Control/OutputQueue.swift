import Glibc
import HostSystem

/// Output queued for a non-blocking descriptor.
struct OutputQueue {
    private var bytes: [UInt8] = []
    private var start = 0

    var count: Int { bytes.count - start }

    mutating func append(_ more: [UInt8]) { bytes += more }

    /// Appends and keeps the last `limit` bytes. Bytes are moved only occasionally, because they may arrive one by one.
    mutating func append(_ more: [UInt8], keepingLast limit: Int) {
        bytes += more
        start = max(start, bytes.count - limit)
        if start > limit { compact() }
    }

    mutating func takeAll() -> [UInt8] {
        defer { self = OutputQueue() }
        return Array(bytes[start...])
    }

    /// Writes as much as possible without blocking. True when the queue is empty.
    mutating func write(to number: Int32) -> Result<Bool, SystemCallError> {
        defer { compact() }
        while start < bytes.count {
            let written = bytes[start...].withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
            if written >= 0 {
                start += written
            } else if errno == EAGAIN {
                return .success(false)
            } else if errno != EINTR {
                return .failure(SystemCallError("write"))
            }
        }
        return .success(true)
    }

    private mutating func compact() {
        bytes.removeSubrange(..<start)
        start = 0
    }
}

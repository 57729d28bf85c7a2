import Synchronization

/// The last bytes of a stream, at most `limit` of them: filled on one thread, read on others.
final class ByteRing: Sendable {
    private let limit: Int
    private let kept = Mutex<[UInt8]>([])

    init(limit: Int) { self.limit = max(limit, 1) }

    /// Adds bytes. The oldest beyond the limit are dropped only occasionally, because bytes may arrive one by one.
    func append(_ bytes: [UInt8]) {
        kept.withLock { kept in
            kept += bytes
            if kept.count > 2 * limit { kept.removeFirst(kept.count - limit) }
        }
    }

    /// The kept bytes, oldest first.
    var bytes: [UInt8] { kept.withLock { $0.suffix(limit) } }

    /// The kept bytes as lines, without empty ones; invalid UTF-8 becomes replacement characters.
    var lines: [String] {
        String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
    }
}

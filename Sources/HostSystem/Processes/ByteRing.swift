import Synchronization

/// The last bytes of a stream, at most `limit` of them: filled on one thread, read on others.
final class ByteRing: Sendable {
    private let limit: Int
    private let kept = Mutex<[UInt8]>([])

    init(limit: Int) { self.limit = max(limit, 1) }

    /// Adds bytes, dropping the oldest beyond the limit; now and then only, for they may come one by one.
    func append(_ bytes: [UInt8]) {
        kept.withLock { kept in
            kept += bytes
            if kept.count > 2 * limit { kept.removeFirst(kept.count - limit) }
        }
    }

    /// What it keeps, oldest first.
    var bytes: [UInt8] { kept.withLock { $0.suffix(limit) } }

    /// What it keeps as lines of text, without empty ones; what is not UTF-8 is shown as replacement characters.
    var lines: [String] {
        String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
    }
}

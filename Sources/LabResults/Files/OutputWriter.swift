import Diagnostics
import Synchronization

/// Writes a command's output to a file, byte for byte up to a limit and as it comes, so that it can be followed and survives a
/// killed run; and keeps its end for reports.
public final class OutputWriter: Sendable {
    /// How much of the end is kept, in bytes.
    public static let tailLimit = 4096
    /// The default limit of a kept output, in bytes: 64 MiB.
    public static let standardLimit = 64 << 20

    private let state: Mutex<State>
    private let limit: Int

    private struct State: ~Copyable {
        var file: FileWriter
        var count = 0
        var dropped = 0
        var tail: [UInt8] = []
    }

    /// A writer of at most `limit` bytes. The file is created at the first bytes or by `close`, so an empty output has one too.
    init(to target: FileWriter.Target, limit: Int) {
        self.limit = limit
        state = Mutex(State(file: FileWriter(target)))
    }

    /// Takes bytes; never fails: errors are kept for `close`.
    public func append(_ bytes: some Collection<UInt8>) {
        state.withLock { state in
            let kept = bytes.prefix(max(limit - state.count, 0))
            state.count += bytes.count
            state.dropped += bytes.count - kept.count
            state.file.append(kept)
            state.file.flush()
            state.tail.append(contentsOf: bytes.suffix(Self.tailLimit))
            // Trimmed at twice the limit, so that small appends do not move the tail each time.
            if state.tail.count > 2 * Self.tailLimit {
                state.tail.removeFirst(state.tail.count - Self.tailLimit)
            }
        }
    }

    /// The number of bytes beyond the limit, which are not in the file.
    public var dropped: Int { state.withLock { $0.dropped } }

    /// Bytes taken so far, those lost to a full disk included.
    public var count: Int { state.withLock { $0.count } }

    /// The end of the output as text, at most 4 KiB of it; bytes that are not UTF-8 become U+FFFD.
    public var tail: String {
        state.withLock { state in
            var end = state.tail.suffix(Self.tailLimit)
            // A cut may fall inside a character: leave out its rest.
            if state.count > end.count {
                end = end.dropFirst(end.prefix(3).prefix { $0 & 0xC0 == 0x80 }.count)
            }
            return String(decoding: end, as: UTF8.self)
        }
    }

    /// The last line that is not blank, or what has come of it, as text of at most 200 bytes; nil when there is none.
    public var lastLine: String? {
        state.withLock { state in
            let lines = state.tail.suffix(200).split { $0 == 10 || $0 == 13 }
            return lines.last { $0.contains { $0 > 0x20 } }.map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// Flushes everything. Throws when bytes were lost for any reason; a second call throws the same.
    public func close() throws(Diagnostic) {
        try state.withLock { state throws(Diagnostic) in try state.file.finish() }
    }
}

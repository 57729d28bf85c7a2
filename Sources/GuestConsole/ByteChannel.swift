/// Bytes both ways: one serial port of a guest, whatever carries it (a unix socket, a pipe, a scripted guest in a test).
public protocol ByteChannel: Sendable {
    /// The next bytes, as many as available and at least one; empty at the end of the stream. Throws when the channel breaks or the
    /// calling task is cancelled. One reader at a time.
    func read() async throws -> [UInt8]

    /// Writes all of `bytes`, waiting while the peer is slow. Throws when the peer is gone or the calling task is cancelled.
    func write(_ bytes: [UInt8]) async throws

    /// Whether all bytes received so far were read and the reader waits again. True where that is unknown.
    var isDrained: Bool { get }

    /// Ends both directions. A waiting `read` returns empty or throws. Safe to repeat.
    func close()
}

extension ByteChannel {
    /// True: unknown.
    public var isDrained: Bool { true }

    /// Reads and discards the channel to its end.
    public func drain() async {
        while let bytes = try? await read(), !bytes.isEmpty {}
    }
}

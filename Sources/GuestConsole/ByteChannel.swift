/// Bytes both ways: one serial port of a guest, whatever carries it (a unix socket, a pipe, a scripted guest in a test).
public protocol ByteChannel: Sendable {
    /// The next bytes, as many as are there and at least one; empty at the end of the stream.
    ///
    /// Throws when the channel breaks or the calling task is cancelled. Only one task reads a channel.
    func read() async throws -> [UInt8]

    /// Writes all of `bytes`, waiting while the other side is slow.
    ///
    /// Throws when the other side is gone or the calling task is cancelled.
    func write(_ bytes: [UInt8]) async throws

    /// Whether all bytes that have come so far were read, and the reader is back for more. True where nobody can know.
    var isDrained: Bool { get }

    /// Ends both directions. A waiting `read` returns empty or throws. Safe to repeat.
    func close()
}

extension ByteChannel {
    /// True: nobody can know.
    public var isDrained: Bool { true }

    /// Reads the channel to its end, for nobody.
    public func drain() async {
        while let bytes = try? await read(), !bytes.isEmpty {}
    }
}

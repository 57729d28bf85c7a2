import GuestConsole
import Synchronization

/// A guest played by a test: a byte channel in memory, whose other end says and hears what the test scripts.
public final class ScriptedGuest: ByteChannel {
    private let toHost = BytePipe()
    private let toGuest = BytePipe()

    /// A guest that has said nothing yet.
    public init() {}

    /// The next bytes that the guest said, piece by piece as it said them.
    public func read() async throws -> [UInt8] { try await toHost.next() }

    /// Types bytes to the guest.
    public func write(_ bytes: [UInt8]) async throws {
        guard toGuest.put(bytes) else { throw CancellationError() }
    }

    /// Whether the host has read all that the guest said, and waits for more.
    public var isDrained: Bool { toHost.isDrained }

    /// Ends both directions.
    public func close() {
        toHost.finish()
        toGuest.finish()
    }

    /// The guest says these bytes, read by the host as one piece.
    public func say(_ bytes: [UInt8]) { _ = toHost.put(bytes) }

    /// The guest says this text.
    public func say(_ text: String) { say(Array(text.utf8)) }

    /// What the host types next, up to and with `text`. Throws when the host closes the channel before.
    public func receive(until text: String) async throws -> String {
        var received = ""
        while !received.contains(text) {
            let bytes = try await toGuest.next()
            if bytes.isEmpty { throw HungUp(received: received) }
            received += String(decoding: bytes, as: UTF8.self)
        }
        return received
    }

    /// The channel closed while the guest listened.
    public struct HungUp: Error {
        /// What was typed last.
        public var received: String
    }
}

/// COM2 of a machine that a test plays.
final class PlayedPort: ByteChannel {
    private let toHost = BytePipe()
    private let keyboard = Mutex<(@Sendable ([UInt8]) async throws -> Void)?>(nil)

    /// Hands what is typed to `keyboard` from now on.
    func connect(_ keyboard: @escaping @Sendable ([UInt8]) async throws -> Void) {
        self.keyboard.withLock { $0 = keyboard }
    }

    func say(_ bytes: [UInt8]) { _ = toHost.put(bytes) }

    func read() async throws -> [UInt8] { try await toHost.next() }

    func write(_ bytes: [UInt8]) async throws { try await keyboard.withLock { $0 }?(bytes) }

    func close() { toHost.finish() }
}

/// An unbounded queue of pieces with one reader.
final class BytePipe: Sendable {
    private struct State {
        var pieces: [[UInt8]] = []
        var finished = false
        var reader: CheckedContinuation<[UInt8], any Error>?
    }

    private let state = Mutex(State())

    /// False when the queue is finished.
    func put(_ bytes: [UInt8]) -> Bool {
        let (reader, taken) = state.withLock { state in
            if state.finished { return (nil as CheckedContinuation<[UInt8], any Error>?, false) }
            if state.reader == nil { state.pieces.append(bytes) }
            defer { state.reader = nil }
            return (state.reader, true)
        }
        reader?.resume(returning: bytes)
        return taken
    }

    /// Whether the reader waits for more, or none will come.
    var isDrained: Bool { state.withLock { $0.reader != nil || $0.finished && $0.pieces.isEmpty } }

    func finish() {
        let reader = state.withLock { state in
            state.finished = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: [])
    }

    /// The next piece; empty at the end.
    func next() async throws -> [UInt8] {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<[UInt8], any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if !state.pieces.isEmpty { return .success(state.pieces.removeFirst()) }
                    if state.finished { return .success([]) }
                    state.reader = continuation
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let reader = state.withLock { state in
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume(throwing: CancellationError())
        }
    }
}

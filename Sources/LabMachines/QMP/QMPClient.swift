import Diagnostics
import HostSystem
import JSON
import Logging
import Synchronization

/// Why a QMP command has no answer.
enum QMPError: Error, Hashable, CustomStringConvertible {
    /// The machine refused it, in its words.
    case refused(command: String, class: String, description: String)
    /// The connection ended before the answer: the machine is gone.
    case closed
    /// No answer in time.
    case silent(command: String)
    /// What came is not QMP.
    case malformed(String)

    var description: String {
        switch self {
        case .refused(let command, _, let description): "QMP \(command): \(description)"
        case .closed: "the QMP connection ended"
        case .silent(let command): "QMP \(command): no answer in time"
        case .malformed(let reason): "QMP: \(reason)"
        }
    }
}

/// An event of the QEMU Machine Protocol.
struct QMPEvent: Sendable, Hashable {
    var name: String
    var data: JSONValue
    /// When it happened, in microseconds of the machine's clock.
    var time: Int64 = 0
}

/// Speaks the QEMU Machine Protocol over one connection: commands answered by id, events as a stream.
///
/// Every wait ends: with the answer, the connection's end, the command's deadline or cancellation.
final class QMPClient: Sendable {
    /// The longest line taken, in bytes; QEMU's own are a few thousand.
    static let lineLimit = 4 << 20

    /// Finishes with the connection. One consumer.
    let events: AsyncStream<QMPEvent>

    /// A command whose answer is yet to come.
    private struct Pending {
        let name: String
        let sent = ContinuousClock.now
        let answer: Completion<Result<JSONValue, QMPError>>
    }

    private struct State {
        var pending: [Int64: Pending] = [:]
        var next: Int64 = 1
        var failure: QMPError?
    }

    private let socket: StreamSocket
    private let log: Logger
    private let state = Mutex(State())
    private let greeting = Completion<Result<JSONValue, QMPError>>()
    private let eventSink: AsyncStream<QMPEvent>.Continuation
    private let outgoing: AsyncStream<Outgoing>.Continuation

    /// What is on its way to the machine.
    private enum Outgoing {
        case line([UInt8])
        /// A descriptor for the `getfd` behind it, and who must know that it is gone.
        case descriptor(Int32, sent: Completion<Bool>)
    }

    /// Takes over a connection; call `handshake` next. What is said on it is logged to `log`.
    init(_ socket: StreamSocket, log: Logger = Logger(label: "vmlab.machines")) {
        self.socket = socket
        self.log = log
        (events, eventSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
        let (lines, outgoing) = AsyncStream<Outgoing>.makeStream()
        self.outgoing = outgoing
        // Both loops end with the connection, which `close` and the machine's end bring about.
        Task.detached { [weak self] in
            for await next in lines {
                do {
                    switch next {
                    case .line(let line): try await socket.write(line)
                    case .descriptor(let number, let sent):
                        defer { sent.fulfil(true) }
                        // A blank between two lines means nothing.
                        try await socket.write(UInt8(ascii: " "), passing: number)
                    }
                } catch {
                    break
                }
            }
            self?.fail(.closed)
            for await case .descriptor(_, let sent) in lines { sent.fulfil(false) }
        }
        Task.detached { [weak self] in
            var reader = LineReader(limit: Self.lineLimit)
            var reason = QMPError.closed
            do {
                while let line = try await reader.next(from: socket) { try self?.take(line) }
            } catch let error as QMPError {
                reason = error
            } catch {}
            self?.fail(reason)
        }
    }

    deinit { close() }

    /// Waits for the machine's greeting and leaves the negotiation mode.
    ///
    /// Whatever `commands` follow are on their way before the machine listens, so that it never waits for us; their answers
    /// are left to the caller.
    @discardableResult
    func handshake(timeout: Duration, then commands: [QMPCommand] = []) async throws -> [QMPAnswer] {
        let deadline = ContinuousClock.now + timeout
        let greeting = greeting
        let negotiation = send(QMPCommand("qmp_capabilities"))
        let answers = commands.map(send)
        do {
            _ = try await withDeadline(deadline) { try await greeting.wait() }.get()
        } catch is DeadlineExceeded {
            throw QMPError.silent(command: "greeting")
        }
        try await negotiation.value(timeout: ContinuousClock.now.duration(to: deadline))
        return answers
    }

    /// Runs a command and returns its answer.
    ///
    /// Throws `QMPError`, and `CancellationError` at once when the task is cancelled; the command may run all the same.
    @discardableResult
    func execute(
        _ command: String, _ arguments: JSONValue? = nil, timeout: Duration = .seconds(10)
    ) async throws -> JSONValue {
        try await send(QMPCommand(command, arguments)).value(timeout: timeout)
    }

    /// Sends a command without waiting for its answer. Commands run in the order in which they were sent.
    func send(_ command: QMPCommand) -> QMPAnswer {
        let answer = Completion<Result<JSONValue, QMPError>>()
        let id = state.withLock { state -> Int64? in
            if let failure = state.failure {
                answer.fulfil(.failure(failure))
                return nil
            }
            defer { state.next += 1 }
            state.pending[state.next] = Pending(name: command.name, answer: answer)
            return state.next
        }
        if let id {
            let line = command.message(id: id).line
            log.trace("QMP > \(line)")
            outgoing.yield(.line(Array((line + "\n").utf8)))
        }
        return QMPAnswer(command: command.name, answer: answer)
    }

    /// Gives the machine a copy of a descriptor, which its other commands then know by `name`. Throws as `execute`.
    func give(_ descriptor: borrowing OwnedDescriptor, as name: String) async throws {
        let sent = Completion<Bool>()
        if case .enqueued = outgoing.yield(.descriptor(descriptor.number, sent: sent)) {
            // Also in a cancelled task: it must stay open until then. The writer ends with the connection.
            _ = await sent.value()
        }
        try await execute("getfd", ["fdname": .string(name)])
    }

    /// Ends the connection; everyone who waits gets `closed`. Safe to repeat.
    func close() { fail(.closed) }

    private func take(_ line: [UInt8]) throws {
        guard let message = try? JSONValue(parsing: line) else {
            throw QMPError.malformed("a line that is not JSON: \(String(decoding: line.prefix(80), as: UTF8.self))")
        }
        log.trace("QMP < \(String(decoding: line.filter { $0 != 13 }, as: UTF8.self))")
        if message["QMP"] != nil {
            log.debug("QMP greeting")
            greeting.fulfil(.success(message))
        } else if let name = message["event"]?.stringValue {
            let seconds = message["timestamp"]?["seconds"]?.integerValue ?? 0
            let microseconds = message["timestamp"]?["microseconds"]?.integerValue ?? 0
            log.debug("QMP event", metadata: ["event": "\(name)"])
            eventSink.yield(
                QMPEvent(
                    name: name, data: message["data"] ?? .null, time: seconds &* 1_000_000 &+ microseconds))
        } else if let id = message["id"]?.integerValue {
            guard let command = state.withLock({ $0.pending.removeValue(forKey: id) }) else { return }
            let error = message["error"]
            log.debug(
                "QMP command",
                metadata: [
                    "command": "\(command.name)", "ms": "\(command.sent.millisecondsAgo)",
                    "outcome": "\(error?["desc"]?.stringValue ?? "done")",
                ])
            if let error {
                command.answer.fulfil(
                    .failure(
                        .refused(
                            command: "", class: error["class"]?.stringValue ?? "GenericError",
                            description: error["desc"]?.stringValue ?? "no reason given")))
            } else {
                command.answer.fulfil(.success(message["return"] ?? .null))
            }
        } else if let description = message["error"]?["desc"]?.stringValue {
            throw QMPError.malformed("the machine did not understand us: \(description)")
        }
    }

    private func fail(_ reason: QMPError) {
        socket.close()
        let pending = state.withLock { state -> [Pending] in
            if state.failure == nil { state.failure = reason }
            defer { state.pending = [:] }
            return Array(state.pending.values)
        }
        greeting.fulfil(.failure(reason))
        for command in pending { command.answer.fulfil(.failure(reason)) }
        eventSink.finish()
        outgoing.finish()
    }
}

/// Cuts a socket's bytes into lines.
private struct LineReader {
    let limit: Int
    private var buffer: [UInt8] = []
    /// How much of the buffer is known to hold no line end.
    private var searched = 0

    init(limit: Int) { self.limit = limit }

    /// The next line without its end; nil at the end of the stream.
    mutating func next(from socket: StreamSocket) async throws -> [UInt8]? {
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeSubrange(...end)
                searched = 0
                if line.allSatisfy({ $0 == 0x20 || $0 == 0x0d || $0 == 0x09 }) { continue }
                return line
            }
            searched = buffer.count
            guard buffer.count <= limit else { throw QMPError.malformed("a line of more than \(limit) bytes") }
            let bytes = try await socket.read()
            if bytes.isEmpty { return nil }
            buffer += bytes
        }
    }
}

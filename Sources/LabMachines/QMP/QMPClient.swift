import Diagnostics
import HostSystem
import JSON
import Logging
import QMP
import Synchronization

/// Why a QMP command has no answer.
enum QMPError: Error, Hashable, CustomStringConvertible {
    case refused(command: QMPCommand.Name, QMPRefusal)
    case closed
    case silent(command: QMPCommand.Name)
    case malformed(String)

    var description: String {
        switch self {
        case .refused(let command, let refusal): "QMP \(command.rawValue): \(refusal.message)"
        case .closed: "the QMP connection ended"
        case .silent(let command): "QMP \(command.rawValue): no answer in time"
        case .malformed(let reason): "QMP: \(reason)"
        }
    }
}

/// A QMP client on one connection: answers are matched by id, events are a stream. Every wait ends with the answer, the end of the
/// connection, the command's deadline or cancellation.
final class QMPClient: Sendable {
    /// The limit for a message in bytes; QEMU's have a few thousand.
    static let messageLimit = 4 << 20

    /// Finishes with the connection. One consumer.
    let events: AsyncStream<QMPEvent>

    private struct Pending {
        let name: QMPCommand.Name
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
    private let greeting = Completion<Result<Void, QMPError>>()
    private let eventSink: AsyncStream<QMPEvent>.Continuation
    private let outgoing: AsyncStream<Outgoing>.Continuation

    private enum Outgoing {
        case line([UInt8])
        /// A descriptor for the `getfd` that follows; `sent` is fulfilled once it has been passed on.
        case descriptor(Int32, sent: Completion<Bool>)
    }

    /// Takes over a connection; call `handshake` next. Messages are logged to `log`.
    init(_ socket: StreamSocket, log: Logger = Logger(label: "vmlab.machines")) {
        self.socket = socket
        self.log = log
        (events, eventSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
        let (lines, outgoing) = AsyncStream<Outgoing>.makeStream()
        self.outgoing = outgoing
        // Both loops end with the connection, which `close` or the machine's exit closes.
        Task.detached { [weak self] in
            for await next in lines {
                do {
                    switch next {
                    case .line(let line): try await socket.write(line)
                    case .descriptor(let number, let sent):
                        defer { sent.fulfil(true) }
                        // A space between two lines is ignored.
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
            var splitter = MessageSplitter(limit: Self.messageLimit)
            var reason = QMPError.closed
            do {
                while true {
                    let bytes = try await socket.read()
                    if bytes.isEmpty { break }
                    for piece in splitter.take(bytes) { try self?.take(piece) }
                }
            } catch let error as QMPError {
                reason = error
            } catch {}
            self?.fail(reason)
        }
    }

    deinit { close() }

    /// Waits for the greeting and leaves negotiation mode. `commands` are sent before the machine is ready, so that it never waits
    /// for us; the caller handles their answers.
    @discardableResult
    func handshake(timeout: Duration, then commands: [QMPCommand] = []) async throws -> [QMPAnswer] {
        let deadline = ContinuousClock.now + timeout
        let greeting = greeting
        let negotiation = send(QMPCommand(.negotiate))
        let answers = commands.map(send)
        do {
            _ = try await withDeadline(deadline) { try await greeting.wait() }.get()
        } catch is DeadlineExceeded {
            throw QMPError.silent(command: "greeting")
        }
        try await negotiation.value(timeout: ContinuousClock.now.duration(to: deadline))
        return answers
    }

    /// Runs a command and returns its answer. Throws `QMPError`, or `CancellationError` at once when cancelled; the command may
    /// still run.
    @discardableResult
    func execute(
        _ command: QMPCommand.Name, _ arguments: JSONObject = [:], timeout: Duration = .seconds(10)
    ) async throws -> JSONValue {
        try await send(QMPCommand(command, arguments)).value(timeout: timeout)
    }

    /// The run state; nil for one that is not modelled here. Throws as `execute`.
    func status() async throws -> RunState? { RunState(answer: try await execute(.queryStatus)) }

    /// Sends a command without waiting for its answer. Commands run in the order they were sent.
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
            var command = command
            command.id = .integer(id)
            let line = command.json.line
            log.trace("QMP > \(line)")
            outgoing.yield(.line(Array((line + "\n").utf8)))
        }
        return QMPAnswer(command: command.name, answer: answer)
    }

    /// Passes a copy of a descriptor to the machine, which other commands then refer to as `name`. Throws as `execute`.
    func give(_ descriptor: borrowing OwnedDescriptor, as name: String) async throws {
        let sent = Completion<Bool>()
        if case .enqueued = outgoing.yield(.descriptor(descriptor.number, sent: sent)) {
            // Also in a cancelled task: the descriptor must stay open until it is sent. The writer ends with the connection.
            _ = await sent.value()
        }
        try await execute("getfd", ["fdname": .string(name)])
    }

    /// Closes the connection; all waits end with `closed`. Safe to repeat.
    func close() { fail(.closed) }

    private func take(_ piece: MessageSplitter.Piece) throws {
        guard case .message(let bytes) = piece else {
            throw QMPError.malformed("a message of more than \(Self.messageLimit) bytes")
        }
        guard let json = try? JSONValue(parsing: bytes) else {
            throw QMPError.malformed("a line that is not JSON: \(String(decoding: bytes.prefix(80), as: UTF8.self))")
        }
        log.trace("QMP < \(String(decoding: bytes, as: UTF8.self))")
        switch QMPMessage(json) {
        case .greeting:
            log.debug("QMP greeting")
            greeting.fulfil(.success(()))
        case .event(let event):
            log.debug("QMP event", metadata: ["event": "\(event.name.rawValue)"])
            eventSink.yield(event)
        case .answer(let value, let id): answer(id, "done") { _ in .success(value) }
        case .refusal(let refusal, nil):
            throw QMPError.malformed("the machine did not understand us: \(refusal.message)")
        case .refusal(let refusal, let id): answer(id, refusal.message) { .failure(.refused(command: $0, refusal)) }
        case nil: break
        }
    }

    /// Delivers an answer to the waiter, if there is one.
    private func answer(
        _ id: JSONValue?, _ outcome: String, _ result: (QMPCommand.Name) -> Result<JSONValue, QMPError>
    ) {
        guard let id = id?.integerValue, let command = state.withLock({ $0.pending.removeValue(forKey: id) }) else {
            return
        }
        log.debug(
            "QMP command",
            metadata: [
                "command": "\(command.name.rawValue)", "ms": "\(command.sent.millisecondsAgo)",
                "outcome": "\(outcome)",
            ])
        command.answer.fulfil(result(command.name))
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

/// The future answer to a command.
struct QMPAnswer: Sendable {
    let command: QMPCommand.Name
    let answer: Completion<Result<JSONValue, QMPError>>

    /// Waits for the answer. Throws `QMPError`, or `CancellationError` at once when cancelled; the command may still run.
    @discardableResult
    func value(timeout: Duration = .seconds(10)) async throws -> JSONValue {
        do {
            return try await withDeadline(.now + timeout) { try await answer.wait() }.get()
        } catch is DeadlineExceeded {
            throw QMPError.silent(command: command)
        }
    }
}

import HostSystem
import JSON
import QMP
import Synchronization

/// The machine's QMP server, a subset of the QEMU Machine Protocol for vmlab's engine and for common QMP tools. README.md of
/// vmlab-vmm describes the subset. Everything runs on the reactor's thread without blocking: a client that does not read its output
/// is disconnected.
final class QMPServer: Sendable {
    /// The longest accepted message, in bytes.
    static let messageLimit = 64 << 10
    /// The limit of unread output, in bytes.
    static let outputLimit = 1 << 20
    /// Beyond this much unread output, no commands are read until the client catches up.
    static let patience = 64 << 10

    private struct Session {
        var splitter = MessageSplitter(limit: messageLimit)
        var isNegotiated = false
    }

    private struct State {
        weak var machine: (any ControlledMachine)?
        /// The current client; late answers for previous ones are dropped.
        var number: UInt64 = 0
        var session = Session()
    }

    private let port: StreamPort
    private let state = Mutex(State())

    /// A QMP server at an endpoint; `.none` disables it. Throws what `StreamPort` throws.
    init(_ endpoint: VMConfiguration.Endpoint, reactor: Reactor) throws(SystemCallError) {
        port = try StreamPort(endpoint, history: 0, reactor: reactor)
    }

    /// Greets clients and serves them. The machine is held weakly.
    func start(_ machine: any ControlledMachine) throws(SystemCallError) {
        state.withLock { $0.machine = machine }
        var handlers = StreamPort.Handlers()
        handlers.connected = { [weak self] in self?.connected() }
        handlers.received = { [weak self] in self?.received($0) }
        handlers.drained = { [weak self] in self?.port.pauseInput(false) }
        handlers.disconnected = { [weak self] in self?.port.pauseInput(false) }
        try port.start(handlers)
    }

    /// Sends an event to the client, if one has negotiated capabilities.
    func emit(_ event: QMPEvent) {
        if state.withLock({ $0.session.isNegotiated }) { say(.event(event)) }
    }

    /// Writes queued output before the process ends, waiting at most `milliseconds`.
    func finish(milliseconds: Int = 200) {
        port.finish(milliseconds: milliseconds)
        port.close()
    }

    private func connected() {
        state.withLock { state in
            state.number &+= 1
            state.session = Session()
        }
        say(.greeting(version: MonitorVersion.answer))
    }

    private func received(_ bytes: [UInt8]) {
        for piece in state.withLock({ $0.session.splitter.take(bytes) }) {
            switch piece {
            case .message(let bytes): serve(bytes)
            case .tooLong:
                say(.refusal(QMPRefusal("a message has more than \(Self.messageLimit) bytes"), id: nil))
                port.disconnect()
            }
        }
    }

    private func serve(_ bytes: [UInt8]) {
        var id: JSONValue?
        do throws(QMPRefusal) {
            let json = try Self.json(bytes)
            id = json["id"]
            let request = try QMPCommand(json)
            let (number, isNegotiated, machine) = state.withLock {
                ($0.number, $0.session.isNegotiated, $0.machine)
            }
            guard isNegotiated else { return try negotiate(request) }
            guard let command = MonitorCommand.named(request.name) else { throw Self.unknown(request) }
            let arguments = try command.arguments(of: request)
            guard let machine else { throw QMPRefusal("the machine has ended") }
            command.run(machine, arguments) { [weak self] in self?.answer(request.id, of: number, $0) }
        } catch {
            say(.refusal(error, id: id))
        }
    }

    private static func json(_ bytes: [UInt8]) throws(QMPRefusal) -> JSONValue {
        do throws(JSONSyntaxError) {
            return try JSONValue(parsing: bytes)
        } catch {
            throw QMPRefusal("JSON parse error, \(error)")
        }
    }

    private static func unknown(_ request: QMPCommand) -> QMPRefusal {
        let description =
            request.name == .negotiate
            ? "Capabilities negotiation is already complete, command ignored"
            : "The command \(request.name.rawValue) has not been found"
        return QMPRefusal(description, .commandNotFound)
    }

    private func negotiate(_ request: QMPCommand) throws(QMPRefusal) {
        guard request.name == .negotiate else {
            throw QMPRefusal(
                "Expecting capabilities negotiation with 'qmp_capabilities'", .commandNotFound)
        }
        for argument in request.arguments.members {
            guard argument.key == "enable", argument.value == [] else {
                throw QMPRefusal("no capability can be enabled: there is none")
            }
        }
        state.withLock { $0.session.isNegotiated = true }
        say(.answer([:], id: request.id))
    }

    private func answer(_ id: JSONValue?, of number: UInt64, _ result: Result<JSONValue, QMPRefusal>) {
        guard state.withLock({ $0.number == number }) else { return }
        switch result {
        case .success(let value): say(.answer(value, id: id))
        case .failure(let refusal): say(.refusal(refusal, id: id))
        }
    }

    private func say(_ message: QMPMessage) {
        guard port.isConnected else { return }
        port.send(Array((message.json.line + "\r\n").utf8))
        let queued = port.queued
        if queued > Self.outputLimit {
            port.disconnect()
        } else if queued > Self.patience {
            port.pauseInput(true)
        }
    }
}

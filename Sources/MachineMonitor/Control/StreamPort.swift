import CLinux
import Glibc
import HostSystem
import QMP
import Synchronization

/// The host's end of a byte stream of the machine (a serial port, QMP), at any `Endpoint`: non-blocking, one client at a time. All
/// functions and handlers run on the reactor's thread. Output without a client is history; its end is kept for the next client.
final class StreamPort: Sendable {
    /// The port's events. A handler may call the port's functions.
    struct Handlers: Sendable {
        /// A client connected. Later output follows the history.
        var connected: @Sendable () -> Void = {}
        var received: @Sendable ([UInt8]) -> Void = { _ in }
        /// All that was sent has been written.
        var drained: @Sendable () -> Void = {}
        var disconnected: @Sendable () -> Void = {}
        /// Ctrl-A x was typed on the terminal.
        var quit: @Sendable () -> Void = {}
    }

    private final class Listener: Sendable {
        let descriptor: OwnedDescriptor
        init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
    }

    private struct State {
        var handlers = Handlers()
        var listener: Listener?
        var listenerWatch: Reactor.Watch?
        var client: StreamClient?
        var isPaused = false
        var history = OutputQueue()
        var keys: TerminalKeys?
    }

    /// A closed client is an error of the next write, not a fatal SIGPIPE.
    private static let brokenPipesAreErrors: Void = { signal(SIGPIPE, SIG_IGN) }()

    private let endpoint: VMConfiguration.Endpoint
    private let reactor: Reactor
    private let historyLimit: Int
    private let terminal: RawTerminal?
    private let state = Mutex(State())

    /// Opens an endpoint: binds a socket, sets a terminal to raw mode. Nothing is read or written until `start`. `history`: bytes
    /// kept for a later client. Throws the kernel's error, such as `EADDRINUSE` when a process listens at the path.
    init(_ endpoint: VMConfiguration.Endpoint, history: Int, reactor: Reactor) throws(SystemCallError) {
        _ = Self.brokenPipesAreErrors
        self.endpoint = endpoint
        self.reactor = reactor
        historyLimit = history
        terminal = endpoint == .terminal ? RawTerminal() : nil
        let listener: Listener?
        if case .socket(let path) = endpoint { listener = try Listener(Self.listen(path)) } else { listener = nil }
        let keys = terminal.map { _ in TerminalKeys() }
        state.withLock { ($0.listener, $0.keys) = (listener, keys) }
    }

    deinit { close() }

    /// Replaces the socket of a killed machine.
    private static func listen(_ path: String) throws(SystemCallError) -> OwnedDescriptor {
        if ListeningSocket.isAbandoned(path) { unlink(path) }
        let listener = try ListeningSocket.bind(path: path)
        try listener.setNonBlocking()
        return listener
    }

    /// Starts: uses an inherited descriptor, connects the terminal, or waits for clients.
    func start(_ handlers: Handlers) throws(SystemCallError) {
        state.withLock { $0.handlers = handlers }
        switch endpoint {
        case .none: break
        case .terminal: try connect(.reopened(0, O_RDONLY), .reopened(1, O_WRONLY | O_APPEND))
        case .descriptor(let number): try connect(socket: OwnedDescriptor(owning: number))
        case .socket: try waitForClient()
        }
    }

    // MARK: Clients

    private func waitForClient() throws(SystemCallError) {
        guard let listener = state.withLock({ $0.listener }) else { return }
        let watch = try reactor.watch(listener.descriptor.number) { [weak self] _ in self?.accept(listener) }
        state.withLock { $0.listenerWatch = watch }
    }

    private func accept(_ listener: Listener) {
        let number = vmlab_accept(listener.descriptor.number)
        guard number >= 0 else { return }
        let watch = state.withLock { state in
            defer { state.listenerWatch = nil }
            return state.listenerWatch
        }
        // The next client waits in the backlog until this one disconnects.
        if let watch { reactor.unwatch(watch) }
        do throws(SystemCallError) {
            try connect(socket: OwnedDescriptor(owning: number))
        } catch {
            // No descriptors are left: disconnect this client; a later one may succeed.
            disconnect()
            if state.withLock({ $0.listenerWatch == nil }) { try? waitForClient() }
        }
    }

    private func connect(socket: consuming OwnedDescriptor) throws(SystemCallError) {
        let number = socket.number
        try socket.setNonBlocking()
        try connect(socket, OwnedDescriptor(owning: try systemCall("fcntl") { fcntl(number, F_DUPFD_CLOEXEC, 3) }))
    }

    private func connect(
        _ input: consuming OwnedDescriptor, _ output: consuming OwnedDescriptor
    ) throws(SystemCallError) {
        let handlers = StreamClient.Handlers(
            received: { [weak self] in self?.received($0) },
            drained: { [weak self] in self?.state.withLock { $0.handlers }.drained() },
            gone: { [weak self] in self?.disconnect() })
        let client = StreamClient(input: input, output: output, reactor: reactor, handlers: handlers)
        let (history, isPaused, connected) = state.withLock { state in
            state.client = client
            return (state.history.takeAll(), state.isPaused, state.handlers.connected)
        }
        client.pauseInput(true)
        try client.start()
        client.send(history)
        connected()
        if !isPaused { client.pauseInput(false) }
    }

    /// Disconnects the client. A listening socket waits for the next one.
    func disconnect() {
        let (client, handlers) = state.withLock { state in
            defer { state.client = nil }
            return (state.client, state.handlers)
        }
        guard let client else { return }
        client.close()
        handlers.disconnected()
        try? waitForClient()
    }

    /// Disconnects the client, stops listening, and restores the terminal; no handler is called any more. Safe to repeat.
    func close() {
        let (client, watch, listener) = state.withLock { state in
            defer { (state.client, state.listener, state.listenerWatch) = (nil, nil, nil) }
            return (state.client, state.listenerWatch, state.listener)
        }
        client?.close()
        if let watch { reactor.unwatch(watch) }
        if listener != nil, case .socket(let path) = endpoint { unlink(path) }
        terminal?.restore()
    }

    // MARK: Bytes

    /// Pauses input, so that the client waits, or resumes it.
    func pauseInput(_ isPaused: Bool) {
        let client = state.withLock { state in
            state.isPaused = isPaused
            return state.client
        }
        client?.pauseInput(isPaused)
    }

    private func received(_ bytes: [UInt8]) {
        let (handlers, typed) = state.withLock { ($0.handlers, $0.keys?.typed(bytes)) }
        guard let typed else { return handlers.received(bytes) }
        if !typed.bytes.isEmpty { handlers.received(typed.bytes) }
        if typed.wantsHelp { send(Array(TerminalKeys.help.utf8)) }
        if typed.wantsQuit { handlers.quit() }
    }

    var isConnected: Bool { state.withLock { $0.client != nil } }

    /// Sent bytes that the client has not accepted yet. The sender sets the limit.
    var queued: Int { state.withLock { $0.client }?.queued ?? 0 }

    /// Sends bytes; the client's unaccepted rest is queued.
    func send(_ bytes: [UInt8]) {
        let client = state.withLock { state in
            if state.client == nil { state.history.append(bytes, keepingLast: historyLimit) }
            return state.client
        }
        client?.send(bytes)
    }

    /// Writes the queue, waiting at most `milliseconds` for a slow client: for a machine's last output, when the reactor has ended.
    func finish(milliseconds: Int) {
        state.withLock { $0.client }?.finish(by: .now + .milliseconds(milliseconds))
    }
}

extension OwnedDescriptor {
    /// Reopens an inherited descriptor as our own open file, which can be made non-blocking without affecting the shell and other
    /// processes that share it. Sockets, and files that may not be reopened, are shared.
    static func reopened(_ number: Int32, _ flags: Int32) throws(SystemCallError) -> OwnedDescriptor {
        if let own = try? OwnedDescriptor.open("/proc/self/fd/\(number)", flags | O_NONBLOCK | O_NOCTTY) { return own }
        return OwnedDescriptor(owning: try systemCall("fcntl") { fcntl(number, F_DUPFD_CLOEXEC, 3) })
    }
}

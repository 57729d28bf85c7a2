import Glibc
import HostSystem
import Synchronization

/// Joins a UART to something of the host: a socket, whoever connects to one, the terminal, or nothing.
///
/// Everything happens on the reactor's thread. Output is taken from the UART as soon as the other side takes it; nobody
/// there means that it is dropped (kept as history for a listener), so that a guest never waits for a reader who does not
/// exist. Input is read only as far as the UART has room. A side that hangs up is let go.
public final class SerialPort: Sendable {
    /// What a serial port is joined to.
    public enum Outside: ~Copyable {
        /// Nobody: output is dropped.
        case nowhere
        /// A connected stream socket.
        case socket(OwnedDescriptor)
        /// A listening stream socket (`ListeningSocket.bind`): one client at a time; another one is told that the port is
        /// busy and let go. Each client first gets the end of all output so far.
        case listener(OwnedDescriptor)
        /// What the user types and sees, usually descriptors 0 and 1, which stay the caller's. With `onQuit`, control-A x
        /// calls it, on the reactor's thread.
        case terminal(input: Int32, output: Int32, onQuit: (@Sendable () -> Void)?)
    }

    struct State: ~Copyable {
        var listener: OwnedDescriptor?
        var listenerWatch: Reactor.Watch?
        var input: SerialInput?
        var output: SerialOutput?
        /// The last output, for a late client; only with a listener.
        var history: ByteRing?
        /// The buffer that goes round between the UART, here and `output`.
        var taken: [UInt8] = []
    }

    /// The guest's end.
    public let uart: UART16550
    let reactor: Reactor
    private let state: Mutex<State>

    /// Joins them; works while `reactor` runs, until `close()` or until this object is gone.
    ///
    /// `history` is in bytes. Throws what the kernel says of the descriptors.
    public init(
        _ uart: UART16550, to outside: consuming Outside, on reactor: Reactor, history: Int = 64 << 10
    ) throws(SystemCallError) {
        self.uart = uart
        self.reactor = reactor
        var state = State()
        switch consume outside {
        case .nowhere: break
        case .socket(let socket):
            state.input = SerialInput(stream: try HostStream(on: socket.number, access: O_RDWR))
            state.output = SerialOutput(stream: try HostStream(on: socket.number, access: O_RDWR))
        case .listener(let socket):
            try socket.setNonBlocking()
            state.listener = consume socket
            state.history = ByteRing(limit: history)
        case .terminal(let input, let output, let onQuit):
            let escape = onQuit.map { EscapeKey(onQuit: $0) }
            state.input = SerialInput(stream: try HostStream(on: input, access: O_RDONLY), escape: escape)
            state.output = SerialOutput(stream: try HostStream(on: output, access: O_WRONLY))
        }
        self.state = Mutex(state)
        try self.state.withLock { (state: inout State) throws(SystemCallError) in
            if let number = state.listener?.number {
                state.listenerWatch = try reactor.watch(number) { [weak self] _ in self?.change { $0.accept(&$1) } }
            }
            try watchEnds(&state)
        }
        uart.attach(
            UART16550.Host(
                outputReady: { [weak self] in self?.later { $0.pumpOutput(&$1) } },
                inputReady: { [weak self] in self?.later { $0.resumeInput(&$1) } }))
    }

    deinit { close() }

    /// Lets the other side go; output is dropped from now on. What was not drained is lost. Safe to repeat.
    public func close() {
        state.withLock { state in
            if let watch = state.listenerWatch.take() { reactor.unwatch(watch) }
            state.listener = nil
            endInput(&state)
            endOutput(&state)
        }
    }

    /// Writes what the guest's processors have written so far, waiting for a slow reader until `deadline`; whether all of
    /// it got out. For the end of a machine: on the reactor's thread, or after the reactor has stopped.
    public func drainNow(until deadline: ContinuousClock.Instant) -> Bool {
        while true {
            let blocked = state.withLock { state -> Int32? in
                pumpOutput(&state)
                guard let output = state.output.take() else { return nil }
                let blocked = output.isBlocked ? output.number : nil
                state.output = consume output
                return blocked
            }
            guard let blocked else { return true }
            let left = deadline - .now
            guard left > .zero else { return false }
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            var request = pollfd(fd: blocked, events: Int16(POLLOUT), revents: 0)
            _ = poll(&request, 1, Int32(clamping: milliseconds + 1))
        }
    }

    /// Works on the state, on the reactor's thread.
    func change(_ body: (SerialPort, inout State) -> Void) {
        state.withLock { body(self, &$0) }
    }

    /// Works on the state soon, on the reactor's thread.
    func later(_ body: @escaping @Sendable (SerialPort, inout State) -> Void) {
        reactor.perform { [weak self] in self?.change(body) }
    }
}

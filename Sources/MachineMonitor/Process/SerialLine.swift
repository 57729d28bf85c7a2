import HostSystem
import QMP
import Synchronization
import VirtualHardware

/// Connects a UART to its `StreamPort`. vCPUs that use the UART never block: bytes are transferred on the reactor's thread, and
/// output that a slow client does not accept yet stays in the UART, so that the guest waits too.
final class SerialLine: Sendable {
    /// Bytes of output that a late client gets first.
    static let historyLimit = 64 << 10
    /// Beyond this much queued output, the rest stays in the UART.
    private static let patience = 64 << 10
    private static let chunk = 16 << 10

    private let reactor: Reactor
    private let port: StreamPort
    private let uart = Mutex<UART16550?>(nil)
    private let isScheduled = Atomic<Bool>(false)

    /// Opens the endpoint. Throws what `StreamPort` throws.
    init(_ endpoint: VMConfiguration.Endpoint, reactor: Reactor) throws(SystemCallError) {
        self.reactor = reactor
        port = try StreamPort(endpoint, history: Self.historyLimit, reactor: reactor)
    }

    var owner: UART16550.Owner {
        UART16550.Owner(hasOutput: { [weak self] in self?.schedule() }, wantsInput: { [weak self] in self?.schedule() })
    }

    /// Starts the transfer; `onQuit` is called when the user ends the machine on the terminal.
    func start(_ uart: UART16550, onQuit: @escaping @Sendable () -> Void) throws(SystemCallError) {
        self.uart.withLock { $0 = uart }
        var handlers = StreamPort.Handlers()
        handlers.received = { [weak self, weak uart] bytes in
            guard let uart else { return }
            uart.receive(bytes)
            if !uart.acceptsInput { self?.port.pauseInput(true) }
        }
        handlers.drained = { [weak self] in self?.carry() }
        handlers.connected = { [weak self] in self?.carry() }
        handlers.disconnected = { [weak self] in self?.carry() }
        handlers.quit = onQuit
        try port.start(handlers)
    }

    var sendsByInterrupt: Bool { uart.withLock { $0 }?.sendsByInterrupt ?? false }

    private func schedule() {
        // One queued job at a time transfers everything up to its run.
        guard !isScheduled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        reactor.perform { [weak self] in
            guard let self else { return }
            isScheduled.store(false, ordering: .sequentiallyConsistent)
            carry()
            if uart.withLock({ $0?.acceptsInput }) == true { port.pauseInput(false) }
        }
    }

    private func carry() {
        guard let uart = uart.withLock({ $0 }) else { return }
        while port.queued < Self.patience {
            let bytes = uart.takeOutput(Self.chunk)
            if bytes.isEmpty { return }
            port.send(bytes)
        }
    }

    /// Transfers the guest's last output, waiting at most `milliseconds` for a slow client, and disconnects it.
    func finish(milliseconds: Int) {
        carry()
        port.finish(milliseconds: milliseconds)
        carry()
        port.finish(milliseconds: milliseconds)
        port.close()
    }
}

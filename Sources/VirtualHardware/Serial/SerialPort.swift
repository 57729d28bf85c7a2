import CLinux
import Glibc
import HostSystem
import Synchronization

/// Joins a UART to the outside: a connection, a socket where clients come and go, the terminal, or nothing. All of it happens
/// on the reactor's thread; the UART's vCPUs are never held up.
///
/// Without anybody outside, output is kept: the last 64 KiB of it, which a late client gets first.
public final class SerialPort: @unchecked Sendable {
    // Unchecked: all but `attach` and the UART's two callbacks runs on the reactor's thread.

    /// What is read and written outside.
    private struct Connection {
        let input: OwnedOrBorrowed
        let output: OwnedOrBorrowed
        /// The same where both directions are one descriptor; nil once there is no more input, and for files.
        var inputWatch: Reactor.Watch?
        var outputWatch: Reactor.Watch?
        /// Output that the other side has not taken yet.
        var pending: ArraySlice<UInt8> = []
        var hasInputPaused = false
    }

    /// A descriptor that is closed with the connection, or one of the process's own that stays.
    private final class OwnedOrBorrowed {
        let number: Int32
        private let isOwned: Bool
        init(_ number: Int32, isOwned: Bool) { (self.number, self.isOwned) = (number, isOwned) }
        deinit { if isOwned { close(number) } }
    }

    private final class Listener {
        let descriptor: OwnedDescriptor
        let path: String
        init(_ descriptor: consuming OwnedDescriptor, path: String) {
            self.descriptor = descriptor
            self.path = path
        }
        deinit { unlink(path) }
    }

    /// Bytes of history for a late client.
    public static let historyLimit = 64 << 10
    private static let chunk = 16 << 10

    private let reactor: Reactor
    private var uart: UART16550?
    private var connection: Connection?
    private var listener: Listener?
    private var history: ArraySlice<UInt8> = []
    private let isScheduled = Atomic<Bool>(false)
    /// Looks at what comes from outside before the guest gets it, such as for the terminal's escape key.
    private let filter: (@Sendable ([UInt8]) -> [UInt8])?

    public init(reactor: Reactor, filter: (@Sendable ([UInt8]) -> [UInt8])? = nil) {
        self.reactor = reactor
        self.filter = filter
    }

    /// What the UART tells its owner.
    public var owner: UART16550.Owner {
        UART16550.Owner(
            hasOutput: { [weak self] in self?.schedule() },
            wantsInput: { [weak self] in self?.schedule() })
    }

    /// Joins the UART, before the machine runs.
    public func attach(_ uart: UART16550) { self.uart = uart }

    private func schedule() {
        // One job at a time carries whatever has come until it runs.
        guard !isScheduled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        reactor.perform { [weak self] in
            guard let self else { return }
            isScheduled.store(false, ordering: .sequentiallyConsistent)
            carryOutput()
            resumeInput()
        }
    }

    // MARK: The other side

    /// A connected stream socket, which is closed in the end.
    public func connect(_ descriptor: consuming OwnedDescriptor) throws(SystemCallError) {
        try descriptor.setNonBlocking()
        let end = OwnedOrBorrowed(descriptor.release(), isOwned: true)
        try open(Connection(input: end, output: end))
    }

    /// Two descriptors of the process's own, such as standard input and output.
    public func connect(input: Int32, output: Int32) throws(SystemCallError) {
        try open(
            Connection(
                input: OwnedOrBorrowed(input, isOwned: false), output: OwnedOrBorrowed(output, isOwned: false)))
    }

    /// Listens at a path, for one client after another; a new one takes the place of the old.
    public func listen(at path: String) throws(SystemCallError) {
        let descriptor = try ListeningSocket.bind(path: path)
        try descriptor.setNonBlocking()
        let number = descriptor.number
        listener = Listener(descriptor, path: path)
        _ = try reactor.watch(number) { [weak self] _ in self?.accept() }
    }

    private func accept() {
        guard let listener else { return }
        guard let client = Self.accept(listener.descriptor.number) else { return }
        hangUp()
        try? connect(client)
    }

    private static func accept(_ listener: Int32) -> OwnedDescriptor? {
        let number = vmlab_accept(listener)
        return number >= 0 ? OwnedDescriptor(owning: number) : nil
    }

    private func open(_ connection: Connection) throws(SystemCallError) {
        var connection = connection
        connection.pending = history
        self.connection = connection
        let (input, output) = (connection.input.number, connection.output.number)
        if input == output {
            let watch = try reactor.watch(input, for: .readable) { [weak self] readiness in
                if readiness.contains(.writable) { self?.carryOutput() }
                if readiness.contains(.readable) {
                    self?.takeInput()
                } else if !readiness.isDisjoint(with: .hungUp) {
                    self?.hangUp()
                }
            }
            self.connection?.inputWatch = watch
            self.connection?.outputWatch = watch
        } else {
            // Files cannot be watched: from one there is no input, and one always takes output.
            let first = try? reactor.watch(input, for: .readable) { [weak self] _ in self?.takeInput() }
            let second = try? reactor.watch(output, for: []) { [weak self] _ in self?.carryOutput() }
            self.connection?.inputWatch = first
            self.connection?.outputWatch = second
        }
        carryOutput()
    }

    private func hangUp() {
        for watch in [connection?.inputWatch, connection?.outputWatch] { watch.map(reactor.unwatch) }
        connection = nil
    }

    // MARK: Carrying

    /// From the UART outwards, as much as the other side takes.
    private func carryOutput() {
        guard let uart else { return }
        while true {
            if connection?.pending.isEmpty ?? true {
                let bytes = uart.takeOutput(Self.chunk)
                if bytes.isEmpty { break }
                remember(bytes)
                connection?.pending = bytes[...]
            }
            guard let connection else { continue }
            let count = connection.pending.withUnsafeBytes {
                Glibc.write(connection.output.number, $0.baseAddress, $0.count)
            }
            if count > 0 {
                self.connection?.pending.removeFirst(count)
            } else if errno != EINTR {
                if errno == EAGAIN { break }
                hangUp()
            }
        }
        updateInterest()
    }

    private func remember(_ bytes: [UInt8]) {
        history += bytes
        if history.count > 2 * Self.historyLimit { history = ArraySlice(Array(history.suffix(Self.historyLimit))) }
    }

    /// From outside to the UART, as long as it has room.
    private func takeInput() {
        guard let connection, let uart else { return }
        guard uart.acceptsInput else {
            self.connection?.hasInputPaused = true
            return updateInterest()
        }
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.chunk) { buffer, length in
            count = Glibc.read(connection.input.number, buffer.baseAddress, buffer.count)
            length = max(0, count)
        }
        if count > 0 {
            uart.receive(filter?(bytes) ?? bytes)
        } else if count == 0 || errno != EAGAIN && errno != EINTR {
            endInput()
        }
    }

    /// The other side says nothing more. It may still listen.
    private func endInput() {
        guard let watch = connection?.inputWatch else { return }
        connection?.inputWatch = nil
        if watch == connection?.outputWatch { updateInterest() } else { reactor.unwatch(watch) }
    }

    private func resumeInput() {
        guard connection?.hasInputPaused == true, uart?.acceptsInput == true else { return }
        connection?.hasInputPaused = false
        updateInterest()
    }

    private func updateInterest() {
        guard let connection else { return }
        let input: Reactor.Interest = connection.hasInputPaused ? [] : .readable
        let output: Reactor.Interest = connection.pending.isEmpty ? [] : .writable
        if connection.inputWatch == connection.outputWatch {
            connection.inputWatch.map { reactor.update($0, to: input.union(output)) }
        } else {
            connection.inputWatch.map { reactor.update($0, to: input) }
            connection.outputWatch.map { reactor.update($0, to: output) }
        }
    }

    /// Carries the last output before the process ends, for at most so many milliseconds.
    public func drain(milliseconds: Int32) {
        carryOutput()
        var left = milliseconds
        while let connection, !connection.pending.isEmpty, left > 0 {
            var wait = pollfd(fd: connection.output.number, events: Int16(POLLOUT), revents: 0)
            _ = poll(&wait, 1, min(left, 50))
            left -= 50
            carryOutput()
        }
    }
}

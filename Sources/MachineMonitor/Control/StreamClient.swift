import Glibc
import HostSystem
import Synchronization

/// The connected client of a `StreamPort`: two non-blocking descriptors for input and output. Each direction has its own descriptor
/// and watch, even for a socket, because they end at different times. Everything runs on the reactor's thread.
final class StreamClient: Sendable {
    struct Handlers: Sendable {
        var received: @Sendable ([UInt8]) -> Void
        var drained: @Sendable () -> Void
        /// It accepts no more output.
        var gone: @Sendable () -> Void
    }

    private struct State {
        var inputWatch: Reactor.Watch?
        var outputWatch: Reactor.Watch?
        var inputHasEnded = false
        var isPaused = false
        var isClosed = false
        var output = OutputQueue()

        var canRead: Bool { !isClosed && !inputHasEnded }
    }

    /// The most that one read takes, in bytes.
    private static let readLimit = 64 << 10

    private let input: OwnedDescriptor
    private let output: OwnedDescriptor
    private let reactor: Reactor
    private let handlers: Handlers
    private let state = Mutex(State())

    /// A client of two non-blocking descriptors. Nothing happens until `start`.
    init(
        input: consuming OwnedDescriptor, output: consuming OwnedDescriptor, reactor: Reactor, handlers: Handlers
    ) {
        self.input = input
        self.output = output
        self.reactor = reactor
        self.handlers = handlers
    }

    /// Starts reading, unless paused. Throws when the descriptors cannot be watched.
    func start() throws(SystemCallError) {
        let watch = try watched(output.number, for: []) { [weak self] ready in self?.outputIsReady(ready) }
        state.withLock { $0.outputWatch = watch }
        try watchInput()
    }

    /// Watches a descriptor; nil for regular files and the like, which are always ready and not supported by epoll.
    private func watched(
        _ number: Int32, for interest: Reactor.Interest, _ handler: @escaping @Sendable (Reactor.Interest) -> Void
    ) throws(SystemCallError) -> Reactor.Watch? {
        do throws(SystemCallError) {
            return try reactor.watch(number, for: interest, handler)
        } catch {
            if error.errno == EPERM { return nil }
            throw error
        }
    }

    /// Stops everything; no handler is called any more. The descriptors close with the last reference. Safe to repeat.
    func close() {
        let watches = state.withLock { state in
            defer { (state.inputWatch, state.outputWatch) = (nil, nil) }
            state.isClosed = true
            return [state.inputWatch, state.outputWatch]
        }
        for case let watch? in watches { reactor.unwatch(watch) }
    }

    // MARK: Input

    func pauseInput(_ isPaused: Bool) {
        state.withLock { $0.isPaused = isPaused }
        // Unwatched while paused: epoll would otherwise report a hang-up endlessly.
        if isPaused { unwatchInput() } else { try? watchInput() }
    }

    private func unwatchInput() {
        let watch = state.withLock { state in
            defer { state.inputWatch = nil }
            return state.inputWatch
        }
        if let watch { reactor.unwatch(watch) }
    }

    private func watchInput() throws(SystemCallError) {
        guard state.withLock({ $0.canRead && !$0.isPaused && $0.inputWatch == nil }) else { return }
        if let watch = try watched(input.number, for: .readable, { [weak self] _ in self?.takeInput() }) {
            state.withLock { $0.inputWatch = watch }
        } else {
            // A file: a part of it per iteration, so that other handlers run too.
            reactor.perform { [weak self] in
                self?.takeInput()
                try? self?.watchInput()
            }
        }
    }

    /// Reads available bytes; false when there are none.
    @discardableResult
    private func takeInput() -> Bool {
        guard state.withLock({ $0.canRead }), let bytes = read() else { return false }
        if bytes.isEmpty {
            // A client that closed its output may still read.
            state.withLock { $0.inputHasEnded = true }
            unwatchInput()
            return false
        }
        handlers.received(bytes)
        return true
    }

    /// The available bytes; nil when there are none yet, empty at the end.
    private func read() -> [UInt8]? {
        do throws(SystemCallError) {
            // A little text must not keep 64 KiB alive.
            return Array(try input.read(upTo: Self.readLimit)[...])
        } catch {
            return error.errno == EAGAIN ? nil : []
        }
    }

    // MARK: Output

    var queued: Int { state.withLock { $0.output.count } }

    func send(_ bytes: [UInt8]) {
        state.withLock { $0.output.append(bytes) }
        flush()
    }

    private func outputIsReady(_ ready: Reactor.Interest) {
        guard !ready.isDisjoint(with: .hungUp) else { return flush() }
        // Input that was sent before it closed is still read.
        while takeInput() {}
        if !state.withLock({ $0.isClosed }) { handlers.gone() }
    }

    private func flush() {
        let (result, watch) = state.withLock { state -> (Result<Bool, SystemCallError>?, Reactor.Watch?) in
            guard !state.isClosed, state.output.count > 0 else { return (nil, nil) }
            return (state.output.write(to: output.number), state.outputWatch)
        }
        guard let result else { return }
        switch result {
        case .failure: handlers.gone()
        case .success(let isEmpty):
            if let watch { reactor.update(watch, to: isEmpty ? [] : .writable) }
            if isEmpty { handlers.drained() }
        }
    }

    /// Writes the rest of the queue, waiting until `deadline` at most.
    func finish(by deadline: ContinuousClock.Instant) {
        while queued > 0 {
            var wait = pollfd(fd: output.number, events: Int16(POLLOUT), revents: 0)
            let milliseconds = max(0, (deadline - .now) / .milliseconds(1))
            guard poll(&wait, 1, Int32(milliseconds)) > 0,
                case .success = state.withLock({ $0.output.write(to: output.number) })
            else { return }
        }
    }
}

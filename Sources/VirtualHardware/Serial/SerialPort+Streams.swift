import CLinux
import Glibc
import HostSystem

// What happens on the reactor's thread, with the state in hand.

extension SerialPort {
    // MARK: Output

    /// Writes what is pending, then takes what the guest wrote meanwhile. More output than that announces itself.
    func pumpOutput(_ state: inout State) {
        guard var output = state.output.take() else {
            take(&state)
            return
        }
        let wasBlocked = output.isBlocked
        var isAlive = output.flush()
        if isAlive && output.isIdle {
            take(&state)
            output.exchange(&state.taken)
            isAlive = output.flush()
        }
        if let watch = output.watch, wasBlocked != output.isBlocked {
            reactor.update(watch, to: output.isBlocked ? .writable : [])
        }
        state.output = consume output
        if !isAlive { endOutput(&state) }
    }

    private func take(_ state: inout State) {
        uart.takeOutput(&state.taken)
        state.history?.append(state.taken)
    }

    /// Lets the reader go. From now on nobody has to be waited for.
    func endOutput(_ state: inout State) {
        guard let output = state.output.take() else { return }
        if let watch = output.watch { reactor.unwatch(watch) }
        take(&state)
    }

    // MARK: Input

    /// Reads as much as the UART has room for.
    func pumpInput(_ state: inout State) {
        guard var input = state.input.take() else { return }
        let room = uart.inputRoom
        input.isPaused = room == 0
        if input.isPaused {
            if let watch = input.watch { reactor.update(watch, to: []) }
            state.input = consume input
            return
        }
        let isAlive = withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { buffer in
            switch input.stream.read(into: buffer) {
            case .moved(let count):
                let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                let kept = input.escape?.filter(bytes)
                _ = kept.map { uart.send($0) } ?? uart.send(bytes)
                return true
            case .blocked: return input.watch != nil
            case .ended: return false
            }
        }
        let isWatched = input.watch != nil
        state.input = consume input
        if !isAlive {
            endInput(&state)
        } else if !isWatched {
            later { $0.pumpInput(&$1) }
        }
    }

    /// Goes on reading after the UART had no room.
    func resumeInput(_ state: inout State) {
        guard let input = state.input.take() else { return }
        let isPaused = input.isPaused
        if isPaused, let watch = input.watch { reactor.update(watch, to: .readable) }
        state.input = consume input
        if isPaused { pumpInput(&state) }
    }

    /// Lets the writer go.
    func endInput(_ state: inout State) {
        guard let input = state.input.take() else { return }
        if let watch = input.watch { reactor.unwatch(watch) }
    }

    // MARK: Watching

    /// Watches both ends. A file cannot be watched (`EPERM`): it is read a piece at a time until its end.
    func watchEnds(_ state: inout State) throws(SystemCallError) {
        if let number = state.input?.stream.number {
            state.input?.watch = try watch(number, for: .readable) { $0.inputEvent(&$1, $2) }
            if state.input?.watch == nil { later { $0.pumpInput(&$1) } }
        }
        if let number = state.output?.number {
            state.output?.watch = try watch(number, for: []) { $0.outputEvent(&$1, $2) }
        }
    }

    private func watch(
        _ number: Int32, for interest: Reactor.Interest,
        _ handler: @escaping @Sendable (SerialPort, inout State, Reactor.Interest) -> Void
    ) throws(SystemCallError) -> Reactor.Watch? {
        do throws(SystemCallError) {
            return try reactor.watch(number, for: interest) { [weak self] ready in
                self?.change { handler($0, &$1, ready) }
            }
        } catch {
            if error.errno == EPERM { return nil }
            throw error
        }
    }

    private func outputEvent(_ state: inout State, _ ready: Reactor.Interest) {
        if ready.isDisjoint(with: .hungUp) { pumpOutput(&state) } else { endOutput(&state) }
    }

    /// After a hang-up what was sent before is still read, without watching: the kernel would tell of it for ever.
    private func inputEvent(_ state: inout State, _ ready: Reactor.Interest) {
        if !ready.isDisjoint(with: .hungUp), let watch = state.input?.watch {
            reactor.unwatch(watch)
            state.input?.watch = nil
        }
        pumpInput(&state)
    }

    // MARK: Clients

    /// Takes the next client.
    func accept(_ state: inout State) {
        guard let listener = state.listener?.number else { return }
        let number = vmlab_accept(listener)
        guard number >= 0 else {
            let isHarmless = [EAGAIN, EINTR, ECONNABORTED].contains(errno)
            // What cannot be accepted would be told for ever: those who are connected go on.
            if !isHarmless, let watch = state.listenerWatch.take() { reactor.unwatch(watch) }
            return
        }
        let client = OwnedDescriptor(owning: number)
        guard state.input == nil, state.output == nil else {
            let busy = Array("vmlab-vmm: this serial port is busy: it has another client\r\n".utf8)
            _ = send(client.number, busy, busy.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            return
        }
        do throws(SystemCallError) {
            let input = try HostStream(on: client.number, access: O_RDWR)
            let output = try HostStream(on: client.number, access: O_RDWR)
            state.input = SerialInput(stream: input)
            state.output = SerialOutput(stream: output, pending: state.history?.bytes ?? [])
            try watchEnds(&state)
            pumpOutput(&state)
        } catch {
            // Out of descriptors or memory: this client sees its connection end.
            endInput(&state)
            endOutput(&state)
        }
    }
}

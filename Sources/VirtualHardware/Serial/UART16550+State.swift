import Synchronization

extension UART16550: StatefulDevice {
    package var stateForm: String { "uart16550/1" }

    /// Saves the registers, but not the bytes that wait for the host: the port's owner gets those, and only once.
    package func save(to encoder: inout StateEncoder) {
        state.withLock { state in
            for register in [
                state.interruptEnable, state.lineControl, state.modemControl, state.modemDelta, state.scratch,
                state.divisor.low, state.divisor.high, UInt8(truncatingIfNeeded: state.burst),
            ] {
                encoder.add(register)
            }
            encoder.add(state.hasFIFO)
            encoder.add(state.hasOverrun)
            // A restored port has room.
            encoder.add(state.transmitterPending || state.transmitterWaits)
            encoder.add(Array(state.received[state.receivedStart...]))
        }
    }

    /// Restores the registers and raises pending interrupts again.
    package func restore(from decoder: inout StateDecoder) throws(StateError) {
        var saved = State()
        saved.interruptEnable = try decoder.number() & 0xf
        saved.lineControl = try decoder.number()
        saved.modemControl = try decoder.number() & 0x1f
        saved.modemDelta = try decoder.number() & 0xf
        saved.scratch = try decoder.number()
        saved.divisor = (try decoder.number(), try decoder.number())
        saved.burst = Int(try decoder.number(UInt8.self)) % Self.fifoSize
        saved.hasFIFO = try decoder.truth()
        saved.hasOverrun = try decoder.truth()
        saved.transmitterPending = try decoder.truth()
        saved.received = try decoder.bytes()
        let (sends, signal) = state.withLock { state in
            // Output that this port's host has not read stays, as in a reset.
            saved.output = state.output
            state = saved
            return (state.sendsByInterrupt, Self.edge(&state))
        }
        if sends { owner.sendsByInterrupt() }
        if signal { interrupt.signal() }
    }
}

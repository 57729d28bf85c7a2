import Synchronization

/// A National Semiconductor PC16550D, the serial port of a PC: eight registers, two FIFOs of 16 bytes, one interrupt line.
///
/// It sends as fast as the host takes: the transmitter is empty as long as the output ring has room. When the ring is full
/// the transmitter stays busy, so that a guest's driver waits in the guest's own time; no access ever blocks a vCPU, and
/// only a guest that writes without looking loses bytes. Behind the receiver's FIFO a queue of the host's bytes waits.
package final class UART16550: BusDevice {
    /// Bytes in each of the chip's FIFOs.
    package static let fifoSize = 16
    /// Bytes that wait for the host.
    package static let outputLimit = 64 << 10
    /// Bytes that wait for the guest before the host is asked to stop.
    package static let inputLimit = 64 << 10

    /// The owner's callbacks, on vCPU threads, without the port's lock.
    package struct Owner: Sendable {
        /// There is output where there was none.
        package var hasOutput: @Sendable () -> Void
        /// The guest has taken all the input there was.
        package var wantsInput: @Sendable () -> Void
        /// The guest's driver has the FIFOs on and wants to be interrupted for more output.
        package var sendsByInterrupt: @Sendable () -> Void

        package init(
            hasOutput: @escaping @Sendable () -> Void, wantsInput: @escaping @Sendable () -> Void,
            sendsByInterrupt: @escaping @Sendable () -> Void = {}
        ) {
            self.hasOutput = hasOutput
            self.wantsInput = wantsInput
            self.sendsByInterrupt = sendsByInterrupt
        }
    }

    private enum Register {
        static let data: UInt64 = 0
        static let interruptEnable: UInt64 = 1
        static let interruptIdentity: UInt64 = 2
        static let lineControl: UInt64 = 3
        static let modemControl: UInt64 = 4
        static let lineStatus: UInt64 = 5
        static let modemStatus: UInt64 = 6
        static let scratch: UInt64 = 7
    }

    private static let divisorLatch: UInt8 = 0x80
    private static let loopback: UInt8 = 0x10
    private static let dataReady: UInt8 = 0x01
    private static let overrun: UInt8 = 0x02
    private static let transmitterEmpty: UInt8 = 0x60
    /// CTS, DSR and DCD: a peer is connected.
    private static let carrier: UInt8 = 0xb0

    struct State {
        var interruptEnable: UInt8 = 0
        var lineControl: UInt8 = 3
        var modemControl: UInt8 = 8
        var modemDelta: UInt8 = 0
        var scratch: UInt8 = 0
        var divisor: (low: UInt8, high: UInt8) = (1, 0)
        var hasFIFO = false
        var hasOverrun = false
        /// The interrupt "transmitter empty" has been neither identified nor answered by another byte.
        var transmitterPending = false
        /// A byte was sent while the ring was full: the transmitter's interrupt is due when it has room.
        var transmitterWaits = false
        /// What was pending when the line was last signalled: an edge reports only new causes.
        var signalled: UInt8 = 0
        /// Bytes sent since the guest last read a register: a burst of a full FIFO is answered by one interrupt.
        var burst = 0
        var received: [UInt8] = []
        var receivedStart = 0
        var output = SerialOutput(capacity: UART16550.outputLimit)

        var waiting: Int { received.count - receivedStart }
        var sendsByInterrupt: Bool { hasFIFO && interruptEnable & 2 != 0 }

        /// Bits of what asks for an interrupt and is enabled: 1 receiver, 2 transmitter, 4 line status, 8 modem status.
        var pending: UInt8 {
            var bits: UInt8 = 0
            if waiting > 0 { bits |= 1 }
            if transmitterPending { bits |= 2 }
            if hasOverrun { bits |= 4 }
            if modemDelta != 0 { bits |= 8 }
            return bits & interruptEnable
        }

        var identity: UInt8 {
            let fifo: UInt8 = hasFIFO ? 0xc0 : 0
            let pending = pending
            if pending & 4 != 0 { return fifo | 6 }
            if pending & 1 != 0 { return fifo | 4 }
            if pending & 2 != 0 { return fifo | 2 }
            if pending & 8 != 0 { return fifo }
            return fifo | 1
        }

        mutating func takeReceived() -> UInt8 {
            guard waiting > 0 else { return 0 }
            defer {
                receivedStart += 1
                if receivedStart == received.count { (received, receivedStart) = ([], 0) }
            }
            return received[receivedStart]
        }

        /// Compacted now and then: a queue that is never quite empty must not grow.
        mutating func receive(_ bytes: some Sequence<UInt8>) {
            if receivedStart > UART16550.inputLimit {
                received.removeSubrange(..<receivedStart)
                receivedStart = 0
            }
            received.append(contentsOf: bytes)
        }

        /// In loopback mode the modem's outputs are its inputs: DTR → DSR, RTS → CTS, OUT1 → RI, OUT2 → DCD.
        var modemStatus: UInt8 {
            guard modemControl & UART16550.loopback != 0 else { return UART16550.carrier | modemDelta }
            let control = modemControl
            return (control & 2) << 3 | (control & 1) << 5 | (control & 4) << 4 | (control & 8) << 4 | modemDelta
        }
    }

    let interrupt: any InterruptLine
    let owner: Owner
    let state = Mutex(State())

    package init(interrupt: any InterruptLine, owner: Owner) {
        self.interrupt = interrupt
        self.owner = owner
    }

    // MARK: The host's side

    package func takeOutput(_ limit: Int) -> [UInt8] {
        let (bytes, signal) = state.withLock { state in
            let bytes = state.output.take(limit)
            if state.transmitterWaits, state.output.hasRoom {
                state.transmitterWaits = false
                state.transmitterPending = true
            }
            return (bytes, Self.edge(&state))
        }
        if signal { interrupt.signal() }
        return bytes
    }

    package var sendsByInterrupt: Bool { state.withLock { $0.sendsByInterrupt } }

    package var acceptsInput: Bool { state.withLock { $0.waiting < Self.inputLimit } }

    /// Bytes that the guest wrote although there was no room, and that are lost.
    package var droppedOutput: UInt64 { state.withLock { $0.output.dropped } }

    /// Sends bytes to the guest. They are kept however many there are; ask `acceptsInput` first.
    package func receive(_ bytes: some Sequence<UInt8> & Sendable) {
        let signal = state.withLock { state in
            state.receive(bytes)
            return Self.edge(&state)
        }
        if signal { interrupt.signal() }
    }

    /// Back to power-on. What the host has not taken yet stays.
    package func reset() {
        let wantsInput = state.withLock { state in
            let (output, had) = (state.output, state.waiting)
            state = State()
            state.output = output
            // A ring that is full keeps the transmitter busy after the reset too.
            state.transmitterWaits = !output.hasRoom
            return had > 0
        }
        if wantsInput { owner.wantsInput() }
    }

    // MARK: The guest's side

    /// Reads a register; see the PC16550D's data sheet, 8.0.
    package func read(at offset: UInt64, width: Int) -> UInt64 {
        let (value, wantsInput, signal) = state.withLock { state in
            state.burst = 0
            let had = state.waiting
            let value = Self.read(offset, &state)
            return (value, had > 0 && state.waiting == 0, Self.edge(&state))
        }
        if signal { interrupt.signal() }
        if wantsInput { owner.wantsInput() }
        return width == 1 ? UInt64(value) : UInt64.max << 8 | UInt64(value)
    }

    package func write(_ value: UInt64, at offset: UInt64, width: Int) {
        let (hasOutput, wantsInput, sends, signal) = state.withLock { state in
            let had = (output: state.output.count, input: state.waiting, sends: state.sendsByInterrupt)
            Self.write(UInt8(truncatingIfNeeded: value), offset, &state)
            return (
                had.output == 0 && state.output.count > 0, had.input > 0 && state.waiting == 0,
                !had.sends && state.sendsByInterrupt, Self.edge(&state)
            )
        }
        if sends { owner.sendsByInterrupt() }
        if signal { interrupt.signal() }
        if hasOutput { owner.hasOutput() }
        if wantsInput { owner.wantsInput() }
    }

    /// Whether the line rises: something is pending that was not when it last rose. OUT2 connects it on a PC, so that what
    /// was pending before rises with it.
    static func edge(_ state: inout State) -> Bool {
        let pending = state.modemControl & 8 != 0 ? state.pending : 0
        defer { state.signalled = pending }
        return pending & ~state.signalled != 0
    }

    private static func read(_ offset: UInt64, _ state: inout State) -> UInt8 {
        switch offset {
        case Register.data:
            if state.lineControl & divisorLatch != 0 { return state.divisor.low }
            return state.takeReceived()
        case Register.interruptEnable:
            return state.lineControl & divisorLatch != 0 ? state.divisor.high : state.interruptEnable
        case Register.interruptIdentity:
            let identity = state.identity
            // Reading the identification acknowledges the transmitter's interrupt.
            if identity & 0xf == 2 { state.transmitterPending = false }
            return identity
        case Register.lineControl: return state.lineControl
        case Register.modemControl: return state.modemControl
        case Register.lineStatus:
            var status: UInt8 = state.output.hasRoom ? transmitterEmpty : 0
            if state.waiting > 0 { status |= dataReady }
            if state.hasOverrun { status |= overrun }
            state.hasOverrun = false
            return status
        case Register.modemStatus:
            let status = state.modemStatus
            state.modemDelta = 0
            return status
        case Register.scratch: return state.scratch
        default: return 0xff
        }
    }

    private static func write(_ value: UInt8, _ offset: UInt64, _ state: inout State) {
        switch offset {
        case Register.data:
            if state.lineControl & divisorLatch != 0 {
                state.divisor.low = value
            } else if state.modemControl & loopback != 0 {
                if state.waiting < fifoSize { state.receive([value]) } else { state.hasOverrun = true }
                state.transmitterPending = true
            } else {
                state.output.append(value)
                // Sent as soon as it is written, so the transmitter is empty again; unless the host is slow.
                state.transmitterPending = state.output.hasRoom
                state.transmitterWaits = !state.output.hasRoom
                // Another byte acknowledges the interrupt and raises it again when sent: without FIFOs for each byte, with FIFOs
                // for the first of 16, because the rest of the burst is written before a processor could look.
                if !state.hasFIFO || state.burst % fifoSize == 0 { state.signalled &= ~2 }
                state.burst = (state.burst + 1) % fifoSize
            }
        case Register.interruptEnable:
            if state.lineControl & divisorLatch != 0 {
                state.divisor.high = value
            } else {
                // Enabling the transmitter's interrupt while it is empty raises it (PC16550D, 8.6).
                if value & 2 != 0, state.interruptEnable & 2 == 0, state.output.hasRoom {
                    state.transmitterPending = true
                    state.signalled &= ~2
                }
                state.interruptEnable = value & 0xf
            }
        case Register.interruptIdentity:
            state.hasFIFO = value & 1 != 0
            if value & 2 != 0, state.modemControl & loopback != 0 { (state.received, state.receivedStart) = ([], 0) }
        case Register.lineControl: state.lineControl = value
        case Register.modemControl:
            let before = state.modemStatus & 0xf0
            state.modemControl = value & 0x1f
            // Each of the four inputs has a bit for "changed"; RI's counts only its end.
            var changed = (before ^ state.modemStatus & 0xf0) >> 4
            if state.modemStatus & 0x40 != 0 { changed &= ~4 }
            if value & loopback != 0 { state.modemDelta |= changed }
        case Register.scratch: state.scratch = value
        default: break
        }
    }
}

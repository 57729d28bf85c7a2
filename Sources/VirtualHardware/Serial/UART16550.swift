import HostSystem
import Synchronization

/// A serial port of a PC: National Semiconductor's 16550A behind eight I/O ports.
///
/// The guest never waits for the host inside an access: its output goes to a bounded ring. When the ring is almost full
/// the transmitter says that it is busy, so a guest that looks (any driver) waits in its own time and loses nothing; what
/// is written into a full ring all the same is dropped and counted, and a guest that goes on like that is no longer told
/// to wait until the host has taken something.
///
/// Input comes as fast as the guest reads it: what does not fit into the 16-byte FIFO waits here, and behind that the host
/// is asked to wait.
public final class UART16550: BusDevice {
    /// What the UART asks of its host. Called on any thread, vCPUs' too, outside all locks: must not block.
    public struct Host: Sendable {
        /// There is output to take after there was none: once per batch.
        public var outputReady: @Sendable () -> Void
        /// There is room for input again after `inputRoom` was 0.
        public var inputReady: @Sendable () -> Void

        /// The two calls.
        public init(outputReady: @escaping @Sendable () -> Void, inputReady: @escaping @Sendable () -> Void) {
            self.outputReady = outputReady
            self.inputReady = inputReady
        }
    }

    private struct State {
        var registers: UARTRegisters
        var host: Host?
    }

    /// What is to be done once the lock is free.
    private struct Effects {
        var signals = false
        var outputReady: (@Sendable () -> Void)?
        var inputReady: (@Sendable () -> Void)?
    }

    private let state: Mutex<State>
    private let interrupt: any InterruptLine

    /// A UART out of reset with nobody at the host's side, `interrupt` being edge-triggered as on the ISA bus.
    ///
    /// `outputLimit` and `inputLimit` are bytes of the ring and of the input queue.
    public init(interrupt: any InterruptLine, outputLimit: Int = 64 << 10, inputLimit: Int = 16 << 10) {
        self.interrupt = interrupt
        state = Mutex(State(registers: UARTRegisters(outputLimit: outputLimit, inputLimit: inputLimit)))
    }

    public func read(at offset: UInt64, width: Int) -> UInt64 {
        change { registers in
            var value: UInt64 = 0
            // The ISA bus splits a wider access into bytes, lowest address first.
            for lane in 0..<UInt64(clamping: min(width, 8)) {
                value |= UInt64(registers.read(offset &+ lane)) << (8 * lane)
            }
            return value
        }
    }

    public func write(_ value: UInt64, at offset: UInt64, width: Int) {
        change { registers in
            for lane in 0..<UInt64(clamping: min(width, 8)) {
                registers.write(UInt8(truncatingIfNeeded: value >> (8 * lane)), to: offset &+ lane)
            }
        }
    }

    // MARK: The host's side

    /// Puts a host at the other end; it is told at once of what is waiting.
    public func attach(_ host: Host) {
        let hasOutput = state.withLock { state in
            state.host = host
            return !state.registers.output.isEmpty
        }
        if hasOutput { host.outputReady() }
    }

    /// Takes all output: `buffer` is replaced by what the guest wrote, and its own storage is used for what comes next.
    public func takeOutput(_ buffer: inout [UInt8]) {
        buffer.removeAll(keepingCapacity: true)
        change { $0.exchangeOutput(&buffer) }
    }

    /// Hands input to the guest; returns how many bytes were taken, which is fewer than all only when there is no room.
    public func send(_ bytes: some Collection<UInt8>) -> Int {
        change { $0.accept(bytes) }
    }

    /// Bytes of input that there is room for. After 0 `Host.inputReady` is called when there is room again.
    public var inputRoom: Int { change { $0.inputRoom() } }

    /// Bytes that the guest wrote into a full ring, which are lost.
    public var droppedOutput: UInt64 { state.withLock { $0.registers.dropped } }

    /// Changes the registers and then, outside the lock, tells the guest and the host what follows from it.
    private func change<Result>(_ body: (inout UARTRegisters) -> Result) -> Result {
        let (result, effects) = state.withLock { state -> (Result, Effects) in
            let pending = state.registers.signalled
            let hadOutput = !state.registers.output.isEmpty
            let result = body(&state.registers)
            let now = state.registers.signalled
            var effects = Effects()
            // An edge whenever something new is pending, or something is left after something was served: a guest that
            // serves one source per interrupt, or that had the line masked, misses nothing.
            effects.signals = !now.isEmpty && now != pending
            if !hadOutput && !state.registers.output.isEmpty { effects.outputReady = state.host?.outputReady }
            if state.registers.hostMayGoOn() { effects.inputReady = state.host?.inputReady }
            return (result, effects)
        }
        if effects.signals { interrupt.signal() }
        effects.outputReady?()
        effects.inputReady?()
        return result
    }
}

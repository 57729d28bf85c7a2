/// The state of a 16550A as a value: what the guest reads and writes, and what goes in and out on the host's side.
///
/// Time does not pass in it. A byte written has been transmitted at once as long as the host has room, so a burst of 16
/// costs the guest 16 writes and one look at a status register; what the host sends waits in a queue and moves up into the
/// 16-byte FIFO as the guest reads, so none is lost and no overrun happens.
struct UARTRegisters: Sendable {
    /// Bytes of the FIFOs as the guest knows them.
    static let fifoDepth = 16
    /// A guest that wrote so many bytes into a full ring does not wait for the transmitter, or has given up (Linux's
    /// console after 10 ms): making it wait on would only slow it down.
    static let patience = 4 * fifoDepth

    /// Sources of interrupts that are pending and enabled.
    struct Sources: OptionSet {
        let rawValue: UInt8
        static let lineStatus = Sources(rawValue: 1)
        static let received = Sources(rawValue: 2)
        static let transmitterEmpty = Sources(rawValue: 4)
        static let modemStatus = Sources(rawValue: 8)
    }

    // Host side.
    /// What the guest wrote and the host has not taken yet.
    private(set) var output: [UInt8] = []
    let outputLimit: Int
    /// Bytes that found no room, since the beginning and since the host last took any.
    private(set) var dropped: UInt64 = 0
    private var droppedSinceTaken = 0
    private var input: ByteQueue
    /// The host has more input and waits for room.
    private var hostWaits = false

    // Guest side.
    private var interruptEnable: UInt8 = 0
    private var fifoControl: UInt8 = 0
    private var lineControl: UInt8 = 0
    private var modemControl: UInt8 = 0
    private var scratch: UInt8 = 0
    private var divisor: UInt16 = 12
    private var overrun = false
    private var transmitterInterrupt = false
    private var modemChanges: UInt8 = 0
    /// What was transmitted to ourselves in loopback mode.
    private var looped: ByteQueue

    /// `outputLimit` and `inputLimit` in bytes, at least two FIFOs.
    init(outputLimit: Int, inputLimit: Int) {
        self.outputLimit = max(outputLimit, 2 * Self.fifoDepth)
        input = ByteQueue(limit: max(inputLimit, 2 * Self.fifoDepth))
        looped = ByteQueue(limit: Self.fifoDepth)
    }

    private var usesFIFOs: Bool { fifoControl & FIFOControl.enable != 0 }
    private var isLooped: Bool { modemControl & ModemControl.loopback != 0 }
    private var latchesDivisor: Bool { lineControl & 0x80 != 0 }

    /// Bytes that the guest finds in the receiver.
    private var receivedCount: Int { min(isLooped ? looped.count : input.count, usesFIFOs ? Self.fifoDepth : 1) }

    /// The transmitter does not take a whole FIFO: the host is behind.
    private var isHeld: Bool {
        !isLooped && outputLimit - output.count < Self.fifoDepth && droppedSinceTaken < Self.patience
    }

    /// What would interrupt now.
    var pending: Sources {
        var pending: Sources = []
        if overrun { pending.insert(.lineStatus) }
        if receivedCount > 0 { pending.insert(.received) }
        if transmitterInterrupt { pending.insert(.transmitterEmpty) }
        if modemChanges != 0 { pending.insert(.modemStatus) }
        return pending.intersection(enabled)
    }

    private var enabled: Sources {
        var enabled: Sources = []
        if interruptEnable & InterruptEnable.lineStatus != 0 { enabled.insert(.lineStatus) }
        if interruptEnable & InterruptEnable.receivedData != 0 { enabled.insert(.received) }
        if interruptEnable & InterruptEnable.transmitterEmpty != 0 { enabled.insert(.transmitterEmpty) }
        if interruptEnable & InterruptEnable.modemStatus != 0 { enabled.insert(.modemStatus) }
        return enabled
    }

    /// What the interrupt controller hears of `pending`: on a PC the pin goes through OUT2, which loopback disconnects.
    var signalled: Sources { modemControl & ModemControl.out2 != 0 && !isLooped ? pending : [] }
}

// MARK: - What the guest does

extension UARTRegisters {
    /// Reads register 0 to 7; all ones beyond.
    mutating func read(_ register: UInt64) -> UInt8 {
        switch register {
        case 0: latchesDivisor ? UInt8(truncatingIfNeeded: divisor) : receive()
        case 1: latchesDivisor ? UInt8(truncatingIfNeeded: divisor >> 8) : interruptEnable
        case 2: identifyInterrupt()
        case 3: lineControl
        case 4: modemControl
        case 5: readLineStatus()
        case 6: readModemStatus()
        case 7: scratch
        default: 0xff
        }
    }

    /// Writes register 0 to 7; status registers and what is beyond swallow it.
    mutating func write(_ value: UInt8, to register: UInt64) {
        switch register {
        case 0 where latchesDivisor: divisor = divisor & 0xff00 | UInt16(value)
        case 0: transmit(value)
        case 1 where latchesDivisor: divisor = divisor & 0x00ff | UInt16(value) << 8
        case 1: enableInterrupts(value & InterruptEnable.all)
        case 2: controlFIFOs(value)
        case 3: lineControl = value
        case 4: controlModem(value & ModemControl.all)
        case 7: scratch = value
        default: break
        }
    }

    private mutating func receive() -> UInt8 {
        (isLooped ? looped.popFirst() : input.popFirst()) ?? 0
    }

    private mutating func transmit(_ value: UInt8) {
        if isLooped {
            loop(value)
        } else if output.count < outputLimit {
            output.append(value)
        } else {
            dropped &+= 1
            droppedSinceTaken += droppedSinceTaken < Self.patience ? 1 : 0
        }
        // The write clears the interrupt; the transmitter being empty again at once raises it anew.
        announceTransmitter()
    }

    private mutating func loop(_ value: UInt8) {
        if looped.count >= (usesFIFOs ? Self.fifoDepth : 1) {
            overrun = true
            // Without FIFOs the new byte replaces the old one; a full FIFO keeps what it has.
            if usesFIFOs { return }
            looped.removeAll()
        }
        _ = looped.append(CollectionOfOne(value))
    }

    private mutating func announceTransmitter() {
        transmitterInterrupt = interruptEnable & InterruptEnable.transmitterEmpty != 0 && !isHeld
    }

    private mutating func enableInterrupts(_ value: UInt8) {
        let before = interruptEnable
        interruptEnable = value
        // Enabling it while the transmitter is empty raises it; drivers test for that.
        if (before ^ value) & InterruptEnable.transmitterEmpty != 0 { announceTransmitter() }
    }

    private mutating func identifyInterrupt() -> UInt8 {
        let fifos: UInt8 = usesFIFOs ? InterruptIdentity.fifosEnabled : 0
        let pending = pending
        if pending.contains(.lineStatus) { return fifos | InterruptIdentity.lineStatus }
        if pending.contains(.received) {
            let isFull = !usesFIFOs || receivedCount >= FIFOControl.trigger(fifoControl)
            return fifos | (isFull ? InterruptIdentity.receivedData : InterruptIdentity.characterTimeout)
        }
        if pending.contains(.transmitterEmpty) {
            transmitterInterrupt = false
            return fifos | InterruptIdentity.transmitterEmpty
        }
        return fifos | (pending.contains(.modemStatus) ? InterruptIdentity.modemStatus : InterruptIdentity.none)
    }

    /// Clearing the receiver empties it of what was looped back. What the host sent and the guest has not read counts as
    /// arriving after the clearing: a driver that opens the port clears it several times, and input must not get lost.
    private mutating func controlFIFOs(_ value: UInt8) {
        let isEnabled = value & FIFOControl.enable != 0
        if isEnabled != usesFIFOs || value & FIFOControl.clearReceiver != 0 { looped.removeAll() }
        fifoControl = isEnabled ? value : 0
    }

    private mutating func controlModem(_ value: UInt8) {
        let before = modemLines
        modemControl = value
        if !isLooped { looped.removeAll() }
        let changed = before ^ modemLines
        modemChanges |= (changed >> 4) & ~ModemStatus.ringEnded
        if before & changed & ModemStatus.ring != 0 { modemChanges |= ModemStatus.ringEnded }
    }

    /// The cable's other end is always there and ready; in loopback mode our own outputs are our inputs.
    private var modemLines: UInt8 {
        guard isLooped else { return ModemStatus.carrier | ModemStatus.dataSetReady | ModemStatus.clearToSend }
        var lines: UInt8 = 0
        if modemControl & ModemControl.requestToSend != 0 { lines |= ModemStatus.clearToSend }
        if modemControl & ModemControl.dataTerminalReady != 0 { lines |= ModemStatus.dataSetReady }
        if modemControl & ModemControl.out1 != 0 { lines |= ModemStatus.ring }
        if modemControl & ModemControl.out2 != 0 { lines |= ModemStatus.carrier }
        return lines
    }

    private mutating func readLineStatus() -> UInt8 {
        var status: UInt8 = isHeld ? 0 : LineStatus.holdingEmpty | LineStatus.transmitterEmpty
        if receivedCount > 0 { status |= LineStatus.dataReady }
        if overrun { status |= LineStatus.overrun }
        overrun = false
        return status
    }

    private mutating func readModemStatus() -> UInt8 {
        defer { modemChanges = 0 }
        return modemLines | modemChanges
    }
}

// MARK: - What the host does

extension UARTRegisters {
    /// Gives the host all output in exchange for an empty buffer.
    mutating func exchangeOutput(_ buffer: inout [UInt8]) {
        let wasHeld = isHeld
        swap(&output, &buffer)
        droppedSinceTaken = 0
        // An interrupt that the guest still has not heard stays; else only a transmitter that had been full becomes empty.
        if wasHeld { announceTransmitter() }
    }

    /// Takes input for the guest as far as there is room, and says how much that was.
    mutating func accept(_ bytes: some Collection<UInt8>) -> Int {
        input.append(bytes)
    }

    /// Room for input; when there is none the host is told later, once, by `hostMayGoOn`.
    mutating func inputRoom() -> Int {
        if input.room == 0 { hostWaits = true }
        return input.room
    }

    /// Whether a host that waits may go on: true once, when a quarter is left.
    mutating func hostMayGoOn() -> Bool {
        guard hostWaits, input.count <= input.limit / 4 else { return false }
        hostWaits = false
        return true
    }
}

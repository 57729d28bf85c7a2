import VirtualHardware

/// A guest's driver of a UART, as far as tests need one: registers by name, and Linux's way of using them.
struct UARTDriver {
    let uart: UART16550
    let line: CountingLine

    init(outputLimit: Int = 1024, inputLimit: Int = 1024) {
        line = CountingLine()
        uart = UART16550(interrupt: line, outputLimit: outputLimit, inputLimit: inputLimit)
    }

    enum Register: UInt64 {
        case data, interruptEnable, fifo, lineControl, modemControl, lineStatus, modemStatus, scratch
    }

    subscript(_ register: Register) -> UInt8 {
        get { UInt8(truncatingIfNeeded: uart.read(at: register.rawValue, width: 1)) }
        nonmutating set { uart.write(UInt64(newValue), at: register.rawValue, width: 1) }
    }

    var hasNoInterrupt: Bool { self[.fifo] & 1 != 0 }
    var isTransmitterEmpty: Bool { self[.lineStatus] & 0x60 == 0x60 }

    /// FIFOs on with trigger level 8, interrupts through OUT2, receiver interrupts on.
    func open() {
        self[.fifo] = 0x87
        self[.modemControl] = 0x0b
        self[.interruptEnable] = 0x05
    }

    /// Serves interrupts as Linux's `serial8250_interrupt` does, until the UART says that there is none: returns what was
    /// received; takes from `sending` what is to be sent, 16 bytes at a time, and stops the transmitter after the last.
    func serve(_ sending: inout ArraySlice<UInt8>) -> [UInt8] {
        var received: [UInt8] = []
        while !hasNoInterrupt {
            var status = self[.lineStatus]
            while status & 1 != 0 {
                received.append(self[.data])
                status = self[.lineStatus]
            }
            if status & 0x20 != 0 && self[.interruptEnable] & 2 != 0 {
                for byte in sending.prefix(16) { self[.data] = byte }
                sending = sending.dropFirst(16)
                if sending.isEmpty { self[.interruptEnable] &= ~2 }
            }
        }
        return received
    }

    /// What the host takes now.
    func output() -> [UInt8] {
        var bytes: [UInt8] = []
        uart.takeOutput(&bytes)
        return bytes
    }
}

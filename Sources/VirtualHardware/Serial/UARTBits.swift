// Bits of the 16550A's registers, named as in National Semiconductor's PC16550D data sheet.

/// Interrupt enable register: the four kinds of interrupt.
struct InterruptEnable {
    static let receivedData: UInt8 = 1 << 0
    static let transmitterEmpty: UInt8 = 1 << 1
    static let lineStatus: UInt8 = 1 << 2
    static let modemStatus: UInt8 = 1 << 3
    static let all: UInt8 = 0x0f
}

/// What the interrupt identification register says, highest priority first.
struct InterruptIdentity {
    static let lineStatus: UInt8 = 0x06
    static let receivedData: UInt8 = 0x04
    /// Some bytes wait below the trigger level and no more are coming.
    static let characterTimeout: UInt8 = 0x0c
    static let transmitterEmpty: UInt8 = 0x02
    static let modemStatus: UInt8 = 0x00
    static let none: UInt8 = 0x01
    /// Bits 7:6 of a 16550A whose FIFOs are on.
    static let fifosEnabled: UInt8 = 0xc0
}

/// FIFO control register.
struct FIFOControl {
    static let enable: UInt8 = 1 << 0
    static let clearReceiver: UInt8 = 1 << 1
    /// Bytes in the FIFO that raise the received data interrupt, by bits 7:6.
    static func trigger(_ control: UInt8) -> Int {
        switch control >> 6 {
        case 0: 1
        case 1: 4
        case 2: 8
        default: 14
        }
    }
}

/// Modem control register.
struct ModemControl {
    static let dataTerminalReady: UInt8 = 1 << 0
    static let requestToSend: UInt8 = 1 << 1
    static let out1: UInt8 = 1 << 2
    /// On a PC: lets the interrupt through to the interrupt controller.
    static let out2: UInt8 = 1 << 3
    static let loopback: UInt8 = 1 << 4
    static let all: UInt8 = 0x1f
}

/// Line status register.
struct LineStatus {
    static let dataReady: UInt8 = 1 << 0
    static let overrun: UInt8 = 1 << 1
    static let holdingEmpty: UInt8 = 1 << 5
    static let transmitterEmpty: UInt8 = 1 << 6
}

/// Modem status register: in the low half what changed since the last read, in the high half what is.
struct ModemStatus {
    static let ringEnded: UInt8 = 1 << 2
    static let clearToSend: UInt8 = 1 << 4
    static let dataSetReady: UInt8 = 1 << 5
    static let ring: UInt8 = 1 << 6
    static let carrier: UInt8 = 1 << 7
}

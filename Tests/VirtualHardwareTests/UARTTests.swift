import Synchronization
import Testing

@testable import VirtualHardware

@Suite("UART 16550A as drivers see it")
struct UARTTests {
    @Test("Linux's autoconfiguration finds a 16550A and nothing newer")
    func autoconfiguration() {
        let driver = UARTDriver()
        // 8250_port.c, autoconfig(): the upper bits of IER do not exist, the lower four do.
        driver[.interruptEnable] = 0
        #expect(driver[.interruptEnable] == 0)
        driver[.interruptEnable] = 0xff
        #expect(driver[.interruptEnable] == 0x0f)
        driver[.interruptEnable] = 0
        // Loopback: OUT2 and RTS come back as DCD and CTS.
        driver[.modemControl] = 0x1a
        #expect(driver[.modemStatus] & 0xf0 == 0x90)
        driver[.modemControl] = 0
        driver[.fifo] = 0
        #expect(driver[.fifo] >> 6 == 0)
        driver[.fifo] = 1
        #expect(driver[.fifo] >> 6 == 3)
        // No enhanced feature register, no 64-byte FIFO (bit 5).
        driver[.lineControl] = 0x80
        #expect(driver[.fifo] != 0)
        driver[.fifo] = 0x21
        #expect(driver[.fifo] >> 5 == 6)
        driver[.lineControl] = 0
        driver[.scratch] = 0x5a
        #expect(driver[.scratch] == 0x5a)
    }

    @Test("Linux's start-up tests of the transmitter interrupt pass: no workaround is needed")
    func transmitterTests() {
        let driver = UARTDriver()
        driver[.fifo] = 0x07
        // UART_BUG_THRE: the interrupt comes again each time it is enabled.
        for _ in 0..<2 {
            driver[.interruptEnable] = 2
            #expect(driver[.fifo] == 0xc2)
            driver[.interruptEnable] = 0
            #expect(driver[.fifo] == 0xc1)
        }
        // UART_BUG_TXEN: the transmitter is empty and says so.
        driver[.interruptEnable] = 2
        #expect(driver[.lineStatus] == 0x60)
        #expect(!driver.hasNoInterrupt)
    }

    @Test("The divisor latch hides data and interrupt enable")
    func divisorLatch() {
        let driver = UARTDriver()
        driver[.interruptEnable] = 5
        driver[.lineControl] = 0x83
        driver[.data] = 0x34
        driver[.interruptEnable] = 0x12
        #expect(driver[.data] == 0x34)
        #expect(driver[.interruptEnable] == 0x12)
        driver[.lineControl] = 0x03
        #expect(driver[.interruptEnable] == 5)
        #expect(driver[.data] == 0)
        #expect(driver.output() == [])
    }

    @Test("Interrupts come in the data sheet's order of priority, each cleared in its own way")
    func priorities() {
        let driver = UARTDriver()
        driver[.fifo] = 0xc7  // trigger level 14
        // An overrun and a modem change by way of loopback, which keeps what they left behind.
        driver[.modemControl] = 0x10
        for byte in UInt8(0)..<17 { driver[.data] = byte }
        driver[.modemControl] = 0x11
        driver[.interruptEnable] = 0x0f
        #expect(driver[.fifo] == 0xc6)
        #expect(driver[.lineStatus] == 0x63)
        #expect(driver[.fifo] == 0xc4)
        for byte in UInt8(0)..<3 { #expect(driver[.data] == byte) }
        #expect(driver[.fifo] == 0xcc, "13 bytes are below the trigger level")
        for byte in UInt8(3)..<16 { #expect(driver[.data] == byte) }
        #expect(driver[.fifo] == 0xc2)
        #expect(driver[.fifo] == 0xc0)
        #expect(driver[.modemStatus] & 0x0f != 0)
        #expect(driver[.fifo] == 0xc1)
        #expect(driver[.lineStatus] == 0x60)
    }

    @Test("Without FIFOs a new byte overruns the old one")
    func overrunWithoutFIFO() {
        let driver = UARTDriver()
        driver[.modemControl] = 0x10
        driver[.data] = 1
        driver[.data] = 2
        #expect(driver[.lineStatus] == 0x63)
        #expect(driver[.lineStatus] == 0x61)
        #expect(driver[.data] == 2)
        #expect(driver[.lineStatus] == 0x60)
        #expect(driver.output() == [], "nothing leaves in loopback mode")
    }

    @Test("Modem lines are up; changes are told once")
    func modemLines() {
        let driver = UARTDriver()
        #expect(driver[.modemStatus] == 0xb0)
        driver[.modemControl] = 0x14  // loopback with OUT1, which is RI
        #expect(driver[.modemStatus] == 0x40 | 0x0b)
        driver[.modemControl] = 0x10
        #expect(driver[.modemStatus] == 0x04, "the ring ended")
        driver[.modemControl] = 0
        #expect(driver[.modemStatus] == 0xb0 | 0x0b)
        #expect(driver[.modemStatus] == 0xb0)
    }

    @Test("OUT2 lets interrupts through; without it and in loopback mode the line is still")
    func out2() {
        let driver = UARTDriver()
        driver[.interruptEnable] = 1
        #expect(driver.uart.send([1]) == 1)
        #expect(driver.line.edges == 0)
        driver[.modemControl] = 0x18
        #expect(driver.line.edges == 0)
        driver[.modemControl] = 0x08
        #expect(driver.line.edges == 1)
    }

    @Test("Accesses of any width and place are split into bytes, or read as ones")
    func widths() {
        let driver = UARTDriver()
        driver.uart.write(0x4142_4344_4546_4748, at: 7, width: 8)
        #expect(driver[.scratch] == 0x48)
        #expect(driver.uart.read(at: 7, width: 2) == 0xff48)
        #expect(driver.uart.read(at: 6, width: 2) == 0x48b0)
        #expect(driver.uart.read(at: .max, width: 1) == 0xff)
        #expect(driver.uart.read(at: 0, width: -1) == 0)
    }

    @Test("A driver sends and receives everything by edge-triggered interrupts alone", .timeLimit(.minutes(1)))
    func interruptDriven() {
        let driver = UARTDriver(outputLimit: 64, inputLimit: 64)
        driver.open()
        let text = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var sending = text[...]
        var typed = text[...]
        var output: [UInt8] = []
        var received: [UInt8] = []
        driver[.interruptEnable] |= 2
        var served = 0
        while output.count < text.count || received.count < text.count {
            // Only a new edge lets the driver look, as an interrupt controller's pin does.
            if driver.line.edges > served {
                served = driver.line.edges
                received += driver.serve(&sending)
            } else {
                let before = (output.count, typed.count)
                output += driver.output()
                typed = typed.dropFirst(driver.uart.send(typed))
                guard driver.line.edges > served || before != (output.count, typed.count) else { break }
            }
        }
        #expect(output == text)
        #expect(received == text)
        #expect(driver.uart.droppedOutput == 0)
    }

    @Test("A driver that serves one source per interrupt misses none")
    func oneSourcePerInterrupt() {
        let driver = UARTDriver()
        driver.open()
        driver[.interruptEnable] = 3
        #expect(driver.uart.send([1]) == 1)
        let edges = driver.line.edges
        #expect(driver[.fifo] == 0xcc)
        #expect(driver[.data] == 1)
        #expect(driver.line.edges == edges + 1, "the transmitter is still pending")
        #expect(driver[.fifo] == 0xc2)
        #expect(driver.line.edges == edges + 1)
    }

    @Test("A burst of 16 bytes is one interrupt")
    func burst() {
        let driver = UARTDriver()
        driver.open()
        driver[.interruptEnable] = 2
        #expect(driver.line.edges == 1)
        #expect(driver[.fifo] == 0xc2)
        for byte in UInt8(0)..<16 { driver[.data] = byte }
        #expect(driver.line.edges == 2)
    }
}

@Suite("UART 16550A towards the host")
struct UARTHostTests {
    /// Counts what the host is told.
    final class Calls: Sendable {
        let output = Atomic(0)
        let input = Atomic(0)
        var host: UART16550.Host {
            UART16550.Host(
                outputReady: { self.output.add(1, ordering: .relaxed) },
                inputReady: { self.input.add(1, ordering: .relaxed) })
        }
    }

    @Test("The host is told once per batch of output, and at once of what waited for it")
    func batches() {
        let driver = UARTDriver()
        let calls = Calls()
        driver[.data] = 1
        driver.uart.attach(calls.host)
        #expect(calls.output.load(ordering: .relaxed) == 1)
        driver[.data] = 2
        driver[.data] = 3
        #expect(calls.output.load(ordering: .relaxed) == 1)
        #expect(driver.output() == [1, 2, 3])
        driver[.data] = 4
        #expect(calls.output.load(ordering: .relaxed) == 2)
        #expect(driver.output() == [4])
        #expect(driver.output() == [])
    }

    @Test("A full ring makes the guest wait; draining it raises the transmitter interrupt")
    func fullRing() {
        let driver = UARTDriver(outputLimit: 64)
        driver.open()
        driver[.interruptEnable] |= 2
        for byte in UInt8(0)..<48 {
            #expect(driver.isTransmitterEmpty)
            driver[.data] = byte
        }
        #expect(driver.isTransmitterEmpty, "one more FIFO fits")
        for byte in UInt8(48)..<64 { driver[.data] = byte }
        #expect(!driver.isTransmitterEmpty)
        #expect(driver.hasNoInterrupt)
        let edges = driver.line.edges
        #expect(driver.output() == Array(0..<64))
        #expect(driver.line.edges == edges + 1)
        #expect(driver[.fifo] == 0xc2)
        #expect(driver.isTransmitterEmpty)
        #expect(driver.uart.droppedOutput == 0)
    }

    @Test("A guest that does not wait loses bytes, which are counted, and is not slowed down for ever")
    func impatientGuest() {
        let driver = UARTDriver(outputLimit: 64)
        for _ in 0..<64 { driver[.data] = 1 }
        for _ in 0..<63 { driver[.data] = 2 }
        #expect(!driver.isTransmitterEmpty)
        driver[.data] = 2
        #expect(driver.isTransmitterEmpty, "it gave up waiting")
        #expect(driver.uart.droppedOutput == 64)
        #expect(driver.output() == [UInt8](repeating: 1, count: 64))
        for _ in 0..<64 { driver[.data] = 3 }
        #expect(!driver.isTransmitterEmpty, "a host that reads again is waited for again")
    }

    @Test("Input beyond the FIFO waits, and clearing the FIFOs loses none of it")
    func inputIsKept() {
        let driver = UARTDriver()
        let sent = [UInt8](0..<100)
        #expect(driver.uart.send(sent) == 100)
        driver[.fifo] = 0x01
        driver[.fifo] = 0x07
        driver[.fifo] = 0x00
        driver[.fifo] = 0x07
        driver[.modemControl] = 0x10
        #expect(driver[.lineStatus] & 1 == 0, "loopback shuts the line out")
        driver[.modemControl] = 0x00
        var received: [UInt8] = []
        while driver[.lineStatus] & 1 != 0 { received.append(driver[.data]) }
        #expect(received == sent)
    }

    @Test("A host with more input than fits is told when to go on")
    func inputFlow() {
        let driver = UARTDriver(inputLimit: 64)
        let calls = Calls()
        driver.uart.attach(calls.host)
        #expect(driver.uart.send([UInt8](repeating: 7, count: 100)) == 64)
        #expect(driver.uart.inputRoom == 0)
        for _ in 0..<47 { _ = driver[.data] }
        #expect(calls.input.load(ordering: .relaxed) == 0)
        _ = driver[.data]
        #expect(calls.input.load(ordering: .relaxed) == 1)
        for _ in 0..<16 { #expect(driver[.data] == 7) }
        #expect(calls.input.load(ordering: .relaxed) == 1)
        #expect(driver.uart.inputRoom == 64)
    }
}

import Synchronization
import Testing
import VirtualHardware

/// A port with what its owner and the interrupt controller hear, and a driver's view of its registers.
private struct Port {
    final class Calls: Sendable {
        let hasOutput = Atomic<Int>(0)
        let wantsInput = Atomic<Int>(0)
    }

    let line = CountingLine()
    let calls = Calls()
    let uart: UART16550

    init() {
        let calls = calls
        uart = UART16550(
            interrupt: line,
            owner: .init(
                hasOutput: { calls.hasOutput.add(1, ordering: .relaxed) },
                wantsInput: { calls.wantsInput.add(1, ordering: .relaxed) }))
    }

    func write(_ register: UInt64, _ value: UInt8) { uart.write(UInt64(value), at: register, width: 1) }
    func read(_ register: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: uart.read(at: register, width: 1)) }
    /// Writes until the transmitter is busy, as a driver that looks.
    func fill() { while read(5) & 0x20 != 0 { write(0, 0x61) } }
    var wantsInput: Int { calls.wantsInput.load(ordering: .relaxed) }
}

@Suite("UART 16550") struct UART16550Tests {
    @Test("Registers keep what is theirs, and the divisor latch hides data and interrupt enable")
    func registers() {
        let port = Port()
        port.write(7, 0xa5)
        port.write(1, 0xff)
        #expect(port.read(7) == 0xa5)
        #expect(port.read(1) == 0x0f)
        port.write(3, 0x83)
        port.write(0, 0x0c)
        port.write(1, 0x01)
        #expect(port.read(0) == 0x0c)
        #expect(port.read(1) == 0x01)
        port.write(3, 0x03)
        #expect(port.read(1) == 0x0f)
        #expect(port.uart.takeOutput(10).isEmpty)
        #expect(port.read(3) == 0x03)
    }

    @Test("Linux's autoconfiguration finds a 16550A: loopback, FIFO bits, no features of later chips")
    func autoconfiguration() {
        let port = Port()
        // Loopback: RTS and OUT2 come back as CTS and DCD.
        port.write(4, 0x1a)
        #expect(port.read(6) & 0xf0 == 0x90)
        port.write(4, 0x15)
        #expect(port.read(6) & 0xf0 == 0x60)
        port.write(4, 0x08)
        #expect(port.read(6) & 0xf0 == 0xb0)
        #expect(port.read(2) & 0xc0 == 0)
        port.write(2, 0x01)
        #expect(port.read(2) >> 6 == 3)
        // TI16750's deep FIFO (IIR bit 5 behind the divisor latch), XScale's UUE (IER bit 6), 16650's EFR (0 behind LCR 0xbf).
        port.write(3, 0xe0)
        port.write(2, 0x21)
        #expect(port.read(2) >> 5 == 6)
        port.write(3, 0xbf)
        #expect(port.read(2) != 0)
        port.write(3, 0)
        port.write(1, 0x40)
        #expect(port.read(1) == 0)
    }

    @Test("Linux's test of the transmitter's interrupt: enabling it twice raises it twice")
    func transmitterTest() {
        let port = Port()
        for _ in 0..<2 {
            port.write(1, 2)
            #expect(port.line.take() == 1)
            #expect(port.read(2) & 0xf == 2)
            // Its identity answers it.
            #expect(port.read(2) & 0xf == 1)
            port.write(1, 0)
        }
    }

    @Test("A received byte interrupts, and is gone when it was read")
    func receives() {
        let port = Port()
        port.uart.receive(Array("ab".utf8))
        #expect(port.line.take() == 0)
        port.write(1, 1)
        #expect(port.line.take() == 1)
        #expect(port.read(2) & 0xf == 4)
        #expect(port.read(5) & 1 == 1)
        #expect(port.read(0) == 0x61)
        #expect(port.wantsInput == 0)
        #expect(port.read(0) == 0x62)
        #expect(port.wantsInput == 1)
        #expect(port.read(5) & 1 == 0)
        #expect(port.read(2) & 0xf == 1)
        #expect(port.read(0) == 0)
        #expect(port.wantsInput == 1)
        port.uart.receive([0x63])
        #expect(port.line.take() == 1)
    }

    @Test("Interrupts are told by priority: line status, receiver, transmitter, modem status")
    func priorities() {
        let port = Port()
        port.write(4, 0x18)
        _ = port.read(6)
        for byte in 0..<17 as Range<UInt8> { port.write(0, byte) }
        port.write(4, 0x1a)
        port.write(1, 0x0f)
        #expect(port.line.take() >= 1)
        #expect(port.read(2) & 0xf == 6)
        #expect(port.read(5) & 2 == 2)
        #expect(port.read(2) & 0xf == 4)
        for byte in 0..<16 as Range<UInt8> { #expect(port.read(0) == byte) }
        #expect(port.read(2) & 0xf == 2)
        #expect(port.read(2) & 0xf == 0)
        #expect(port.read(6) & 0xf == 1)
        #expect(port.read(2) & 0xf == 1)
    }

    @Test("What becomes pending while the handler is busy with something else is an edge of its own")
    func edgeWhileBusy() {
        let port = Port()
        port.write(1, 1)
        port.uart.receive([1])
        #expect(port.line.take() == 1)
        // The transmitter is enabled while the receiver's interrupt is pending.
        port.write(1, 3)
        #expect(port.line.take() == 1)
        // More of what is pending already is no new edge; once it was read, it is.
        port.uart.receive([2])
        #expect(port.line.take() == 0)
        _ = port.read(0)
        _ = port.read(0)
        port.uart.receive([3])
        #expect(port.line.take() == 1)
    }

    @Test("Interrupts that a console masked while it printed come back when it enables them")
    func masked() {
        let port = Port()
        port.write(1, 5)
        port.write(1, 0)
        port.uart.receive([1])
        #expect(port.line.take() == 0)
        port.write(1, 5)
        #expect(port.line.take() == 1)
    }

    @Test("What is pending rises when OUT2 connects the line")
    func connectsLine() {
        let port = Port()
        port.write(4, 0)
        port.write(1, 1)
        port.uart.receive([1])
        #expect(port.line.take() == 0)
        port.write(4, 8)
        #expect(port.line.take() == 1)
    }

    @Test("Each byte that the transmitter sent is answered by an interrupt")
    func transmits() {
        let port = Port()
        port.write(1, 2)
        _ = port.read(2)
        for _ in 0..<3 {
            for _ in 0..<16 { port.write(0, 0x78) }
            #expect(port.line.take() >= 1)
            #expect(port.read(2) & 0xf == 2)
        }
        #expect(port.calls.hasOutput.load(ordering: .relaxed) == 1)
        #expect(port.uart.takeOutput(100).count == 48)
        port.write(0, 0x79)
        #expect(port.calls.hasOutput.load(ordering: .relaxed) == 2)
    }

    @Test("With FIFOs a burst of 16 bytes is answered by one interrupt, also for a driver that reads nothing")
    func bursts() {
        let port = Port()
        port.write(2, 1)
        port.write(1, 2)
        #expect(port.line.take() == 1)
        for _ in 0..<3 {
            #expect(port.read(2) == 0xc2)
            for _ in 0..<16 { port.write(0, 0x78) }
            #expect(port.line.take() == 1)
        }
        for _ in 0..<3 {
            for _ in 0..<16 { port.write(0, 0x79) }
            #expect(port.line.take() == 1)
        }
        for _ in 0..<3 {
            #expect(port.read(2) == 0xc2)
            port.write(0, 0x7a)
            #expect(port.line.take() == 1)
        }
        #expect(port.uart.takeOutput(.max).count == 99)
    }

    @Test("A full ring keeps the transmitter busy, and taking output raises its interrupt")
    func fullRing() {
        let port = Port()
        port.write(1, 2)
        _ = port.read(2)
        port.fill()
        #expect(port.read(5) & 0x60 == 0)
        #expect(port.read(2) & 0xf == 1)
        _ = port.line.take()
        let count = port.uart.takeOutput(.max).count
        #expect(count > UART16550.outputLimit - 2 * UART16550.fifoSize)
        #expect(port.line.take() == 1)
        #expect(port.read(2) & 0xf == 2)
        #expect(port.read(5) & 0x60 == 0x60)
        #expect(port.uart.droppedOutput == 0)
    }

    @Test("Only a driver that does not look loses bytes, and they are counted")
    func overflow() {
        let port = Port()
        for number in 0..<(UART16550.outputLimit + 5) { port.write(0, UInt8(truncatingIfNeeded: number)) }
        #expect(port.uart.droppedOutput == 5)
        let bytes = port.uart.takeOutput(.max)
        #expect(bytes.count == UART16550.outputLimit)
        #expect(bytes.prefix(3) == [0, 1, 2])
    }

    @Test("The ring keeps the order across its end")
    func wraps() {
        let port = Port()
        var (sent, taken) = (0, [UInt8]())
        while sent < 3 * UART16550.outputLimit {
            for _ in 0..<1000 {
                port.write(0, UInt8(truncatingIfNeeded: sent % 251))
                sent += 1
            }
            taken += port.uart.takeOutput(1000)
        }
        #expect(taken == (0..<sent).map { UInt8($0 % 251) })
    }

    @Test("After a reset with a full ring, the transmitter's interrupt still comes when there is room")
    func resetWhileFull() {
        let port = Port()
        port.fill()
        port.uart.reset()
        port.write(1, 2)
        #expect(port.line.take() == 0)
        #expect(port.read(5) & 0x60 == 0)
        #expect(port.uart.takeOutput(.max).count > 0)
        #expect(port.line.take() == 1)
    }

    @Test("The queue of input says when it has enough, and asks for more when it is empty, whatever emptied it")
    func inputBounds() {
        let port = Port()
        let much = [UInt8](repeating: 1, count: UART16550.inputLimit)
        #expect(port.uart.acceptsInput)
        port.uart.receive(much)
        #expect(!port.uart.acceptsInput)
        for _ in much { _ = port.read(0) }
        #expect(port.uart.acceptsInput)
        #expect(port.wantsInput == 1)
        // The FIFO's reset in loopback mode.
        port.uart.receive(much)
        port.write(4, 0x10)
        port.write(2, 3)
        #expect(port.wantsInput == 2)
        port.uart.receive(much)
        port.uart.reset()
        #expect(port.wantsInput == 3)
        #expect(port.uart.acceptsInput)
        #expect(port.read(5) & 1 == 0)
    }

    @Test("Input that is never quite read keeps its order")
    func neverEmpty() {
        let port = Port()
        var (sent, read) = (0, 0)
        for _ in 0..<400 {
            port.uart.receive((sent..<(sent + 1000)).map { UInt8($0 % 251) })
            sent += 1000
            while read < sent - 100 {
                guard port.read(0) == UInt8(read % 251) else { break }
                read += 1
            }
        }
        #expect(read == sent - 100)
    }

    @Test("Clearing the FIFOs out of loopback keeps what the host has sent early")
    func keepsEarlyInput() {
        let port = Port()
        port.uart.receive([0x61])
        port.write(2, 7)
        #expect(port.read(0) == 0x61)
    }

    @Test("Any width and offset is answered", arguments: [1, 2, 4, 8])
    func oddAccesses(width: Int) {
        let port = Port()
        port.write(7, 0x5a)
        let all = width == 8 ? UInt64.max : (1 << (8 * UInt64(width))) - 1
        #expect(port.uart.read(at: 7, width: width) & 0xff == 0x5a)
        for offset in [8, 0x1000, UInt64.max] {
            port.uart.write(.max, at: offset, width: width)
            #expect(port.uart.read(at: offset, width: width) & all == all || width == 1)
            #expect(port.uart.read(at: offset, width: width) & 0xff == 0xff)
        }
        port.uart.write(0x1234_5678_9abc_de41, at: 0, width: width)
        #expect(port.uart.takeOutput(9) == [0x41])
    }
}

@Suite("A UART's driver that sends by interrupt")
struct SendingByInterruptTests {
    @Test("Is told of when it enables the interrupt with FIFOs on, each time anew")
    func told() {
        let count = Mutex(0)
        let uart = UART16550(
            interrupt: CountingLine(),
            owner: UART16550.Owner(hasOutput: {}, wantsInput: {}, sendsByInterrupt: { count.withLock { $0 += 1 } }))
        // Without FIFOs it may look before each byte.
        uart.write(2, at: 1, width: 1)
        #expect(count.withLock { $0 } == 0)
        uart.write(0, at: 1, width: 1)
        uart.write(1, at: 2, width: 1)
        uart.write(1, at: 1, width: 1)
        #expect(count.withLock { $0 } == 0 && !uart.sendsByInterrupt)
        for round in 1...2 {
            uart.write(3, at: 1, width: 1)
            uart.write(3, at: 1, width: 1)
            #expect(count.withLock { $0 } == round && uart.sendsByInterrupt)
            uart.write(1, at: 1, width: 1)
        }
        uart.write(3, at: 1, width: 1)
        uart.reset()
        #expect(!uart.sendsByInterrupt)
    }
}

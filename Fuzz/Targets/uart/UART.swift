import FuzzSupport
import Synchronization
import VirtualHardware

// A serial port under arbitrary accesses from both sides: it never traps, keeps its bounds, and never leaves a driver of
// edge-triggered interrupts without the edge it waits for.

/// A line whose edges are counted.
private final class Line: InterruptLine {
    let edges = Atomic<Int>(0)
    func signal() { edges.add(1, ordering: .relaxed) }
}

/// One sequence of accesses.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let line = Line()
    let uart = UART16550(interrupt: line, owner: .init(hasOutput: {}, wantsInput: {}))
    /// Whether the chip asks for the processor although its line did not rise since that began.
    var wasAsking = false
    while !input.isEmpty {
        let edges = line.edges.load(ordering: .relaxed)
        let operation = input.next(UInt8.self)
        let width = [1, 2, 4, 8][Int(operation >> 6)]
        switch operation & 7 {
        case 0, 1: uart.write(UInt64(input.next(UInt8.self)), at: UInt64(operation >> 3 & 7), width: width)
        case 2: _ = uart.read(at: UInt64(operation >> 3 & 7), width: width)
        case 3: uart.write(input.next(UInt64.self), at: input.next(UInt64.self), width: width)
        case 4: _ = uart.read(at: input.next(UInt64.self), width: width)
        case 5: if uart.acceptsInput { uart.receive([UInt8](repeating: 7, count: Int(input.next(UInt16.self)))) }
        case 6: _ = uart.takeOutput(Int(input.next(UInt16.self)))
        default:
            if operation >> 3 & 7 == 7 {
                uart.reset()
            } else {
                for byte in 0..<UInt64(input.next(UInt16.self)) { uart.write(byte, at: 0, width: 1) }
            }
        }
        // With OUT2 set and out of loopback, the identity says whether the line should be high.
        let control = uart.read(at: 4, width: 1)
        let isAsking = control & 8 != 0 && uart.read(at: 2, width: 1) & 1 == 0
        let hasRisen = line.edges.load(ordering: .relaxed) != edges
        require(!isAsking || wasAsking || hasRisen, "an interrupt without an edge after operation \(operation)")
        wasAsking = isAsking
    }
    return 0
}

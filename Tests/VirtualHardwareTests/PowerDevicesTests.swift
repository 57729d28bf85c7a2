import Testing
import VirtualHardware

@Suite("Power") struct PowerDevicesTests {
    @Test("Registers of power take any offset and value")
    func power() {
        let line = CountingLine()
        let registers = PowerRegisters(interrupt: line, onPowerOff: {}, onReset: {})
        for offset in [0, 3, 4, UInt64.max] {
            registers.write(.max, at: offset, width: 8)
            _ = registers.read(at: offset, width: 8)
        }
        registers.pressPowerButton()
        #expect(line.take() == 1)
        #expect(registers.read(at: 3, width: 1) == 1)
        #expect(registers.read(at: 3, width: 1) == 0)
    }
}

import Synchronization
import Testing
import VirtualHardware

@Suite("Reset, power, panic and debug ports")
struct LegacyDeviceTests {
    /// Counts calls by name.
    final class Calls: Sendable {
        private let log = Mutex<[String]>([])
        var all: [String] { log.withLock { $0 } }
        func note(_ call: String) { log.withLock { $0.append(call) } }
    }

    @Test("The keyboard controller has nothing to say, and resets when asked")
    func keyboardController() {
        let calls = Calls()
        let controller = I8042 { calls.note("reset") }
        for offset in [0, 4] as [UInt64] { #expect(controller.read(at: offset, width: 1) == 0) }
        controller.write(0xaa, at: 4, width: 1)
        controller.write(0xfe, at: 0, width: 1)
        #expect(calls.all == [])
        controller.write(0xfe, at: 4, width: 1)
        #expect(calls.all == ["reset"])
    }

    @Test("Sleep type 5 powers off, other types and values do nothing; the reset value resets")
    func power() {
        let calls = Calls()
        let power = PowerRegisters(
            interrupt: CountingLine(), onPowerOff: { calls.note("off") }, onReset: { calls.note("reset") })
        for value in UInt64(0)...0xff where value & 0x3c != 0x34 { power.write(value, at: 0, width: 1) }
        for value in UInt64(0)...0xff where value != 1 { power.write(value, at: 2, width: 1) }
        power.write(0x34, at: 1, width: 1)
        power.write(0x34, at: .max, width: 8)
        #expect(calls.all == [])
        power.write(0x34, at: 0, width: 1)
        power.write(1, at: 2, width: 1)
        #expect(calls.all == ["off", "reset"])
    }

    @Test("The power button signals once per press, and its event is read once")
    func powerButton() {
        let line = CountingLine()
        let power = PowerRegisters(interrupt: line, onPowerOff: {}, onReset: {})
        #expect(power.read(at: 3, width: 1) == 0)
        power.pressPowerButton()
        #expect(line.edges == 1)
        #expect(power.read(at: 3, width: 1) == 1)
        #expect(power.read(at: 3, width: 1) == 0)
        #expect(power.read(at: 4, width: 1) == 0xff)
    }

    @Test("pvpanic tells a panic and nothing else")
    func panic() {
        let calls = Calls()
        let device = PanicDevice { calls.note("panic") }
        #expect(device.read(at: 0, width: 1) == 1)
        device.write(2, at: 0, width: 1)
        #expect(calls.all == [])
        device.write(1, at: 0, width: 1)
        #expect(calls.all == ["panic"])
    }

    @Test("The debug port says what it is and hands bytes over")
    func debugPort() {
        let calls = Calls()
        let port = DebugPort { calls.note(String($0)) }
        #expect(port.read(at: 0, width: 1) == 0xe9)
        port.write(0x17b, at: 0, width: 1)
        port.write(9, at: 1, width: 1)
        #expect(calls.all == ["123"])
    }
}

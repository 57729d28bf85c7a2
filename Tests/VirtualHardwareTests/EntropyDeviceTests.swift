import Testing
import VirtualHardware

@Suite("Entropy device") struct EntropyDeviceTests {
    @Test("Fills the buffers, however they are cut, with bytes that differ")
    func fills() throws {
        let driver = try ScriptedDriver(EntropyDevice())
        driver.start()
        let (written, content) = try driver.run([], writable: [1, 300, 0, 723])
        #expect(written == 1024)
        #expect(content.count == 1024)
        #expect(Set(content).count > 128)
    }

    @Test("A huge request is answered in part")
    func cap() throws {
        let driver = try ScriptedDriver(EntropyDevice())
        driver.start()
        let (written, content) = try driver.run([], writable: [40 << 10, 1 << 20, 1 << 20])
        #expect(written == UInt32(EntropyDevice.requestLimit))
        #expect(content[EntropyDevice.requestLimit...].allSatisfy { $0 == 0 })
        #expect(Set(content[(40 << 10)..<(64 << 10)]).count == 256)
    }

    @Test("A request without room for anything comes back")
    func nothing() throws {
        let driver = try ScriptedDriver(EntropyDevice())
        driver.start()
        let (written, _) = try driver.run([[1, 2, 3]])
        #expect(written == 0)
        #expect(!driver.needsReset)
    }
}

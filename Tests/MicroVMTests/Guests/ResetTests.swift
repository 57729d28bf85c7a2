import LabTestSupport
import Testing

@testable import MicroVM

@Suite("A machine that is reset", .requiresKVM, .requiresGuests, .timeLimit(.minutes(1)))
struct ResetTests {
    /// Linux leaves the PICs alone, in which every edge is kept that ever came. One of them in the second PIC, and a kernel
    /// that was reset got an interrupt of nobody's, by the number 7, as soon as it allowed any.
    @Test("Nothing that was pending in an interrupt controller is afterwards")
    func pendingInterrupts() async throws {
        var assembly = try MachineAssembly.make(memory: 32 << 20, processors: 1)
        let lines = [try assembly.interrupt(5), try assembly.interrupt(8)]
        let loader = try GuestLoader(kernel: GuestPrograms.folder + "/loop.elf", initrd: nil, commandLine: "")
        let machine = try MicroMachine(assembly, loader: loader) { _ in }
        defer { machine.end() }
        func pending() throws -> [UInt8] {
            try machine.parts.withLock { parts in
                [
                    try parts.machine.interruptController(0).chip.pic.irr,
                    try parts.machine.interruptController(1).chip.pic.irr,
                ]
            }
        }
        let fresh = try pending()
        for line in lines { line.signal() }
        #expect(try await eventually { try pending() == [1 << 5 | 1 << 2, 1 << 0] })
        try machine.reset()
        #expect(try pending() == fresh)
    }
}

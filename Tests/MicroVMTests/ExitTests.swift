import Glibc
import HostSystem
import KVM
import LabTestSupport
import Testing
import VirtualHardware

@testable import MicroVM

/// Machine code that runs in real mode from address 0, so that each exit is met with nothing in between.
@Suite("A vCPU's exits", .requiresKVM, .timeLimit(.minutes(1)))
struct ExitTests {
    /// A machine of one page in which `code` runs from address 0.
    private func exits(of code: [UInt8], _ body: (inout VCPU) throws -> Void) throws {
        let system = try KVMSystem.open()
        let machine = try system.makeVirtualMachine()
        let memory = try GuestMemory(ranges: [0..<0x1000])
        try machine.setMemory(slot: 0, at: 0, size: 0x1000, host: memory.regions[0].host)
        var vcpu = try machine.makeVCPU(0)
        var segments = try vcpu.systemRegisters()
        (segments.cs.base, segments.cs.selector) = (0, 0)
        try vcpu.setSystemRegisters(segments)
        var registers = try vcpu.registers()
        (registers.rip, registers.rflags, registers.rsp) = (0, 2, 0x800)
        try vcpu.setRegisters(registers)
        try memory.write(code, at: 0)
        try body(&vcpu)
        withExtendedLifetime(memory) {}
    }

    private func expect(_ expected: VCPUExit, of vcpu: inout VCPU) throws {
        let exit = try vcpu.enter()
        #expect(exit == expected)
    }

    @Test("writes to ports of all widths, then hlt")
    func portWrites() throws {
        // mov dx, 0x402; mov eax, 0x44434241; out dx, al; out dx, ax; out dx, eax; hlt
        let code: [UInt8] = [
            0xba, 0x02, 0x04, 0x66, 0xb8, 0x41, 0x42, 0x43, 0x44, 0xee, 0xef, 0x66, 0xef, 0xf4,
        ]
        try exits(of: code) { vcpu in
            for width in [1, 2, 4] {
                try expect(.portWrite(port: 0x402, width: width, count: 1), of: &vcpu)
                #expect(Array(vcpu.portBytes) == Array("ABCD".utf8.prefix(width)))
            }
            try expect(.halt, of: &vcpu)
        }
    }

    @Test("a read from a port gets what we answer")
    func portRead() throws {
        // in al, 0x60; out 0x61, al; hlt
        try exits(of: [0xe4, 0x60, 0xe6, 0x61, 0xf4]) { vcpu in
            try expect(.portRead(port: 0x60, width: 1, count: 1), of: &vcpu)
            vcpu.portBytes[0] = 0x5a
            try expect(.portWrite(port: 0x61, width: 1, count: 1), of: &vcpu)
            #expect(vcpu.portBytes[0] == 0x5a)
        }
    }

    @Test("accesses where no memory is")
    func memory() throws {
        // mov ax, [0x2000]; mov [0x2002], ax; hlt
        try exits(of: [0xa1, 0x00, 0x20, 0xa3, 0x02, 0x20, 0xf4]) { vcpu in
            try expect(.memoryRead(address: 0x2000, width: 2), of: &vcpu)
            vcpu.finishRead(0xbeef)
            try expect(.memoryWrite(address: 0x2002, width: 2, value: 0xbeef), of: &vcpu)
            try expect(.halt, of: &vcpu)
        }
    }

    @Test("a kick beforehand makes entering return at once, however the guest loops")
    func kick() throws {
        // jmp .
        try exits(of: [0xeb, 0xfe]) { vcpu in
            vcpu.kicker.stop()
            try expect(.interrupted, of: &vcpu)
        }
    }

    @Test("an error of the kernel's is thrown")
    func refusal() throws {
        let system = try KVMSystem.open()
        let machine = try system.makeVirtualMachine()
        do throws(SystemCallError) {
            try machine.setMemory(slot: 0, at: 1, size: 4096, host: 4096)
            Issue.record("an address that is no page was taken")
        } catch {
            #expect(error == SystemCallError("KVM_SET_USER_MEMORY_REGION", errno: EINVAL))
        }
    }
}

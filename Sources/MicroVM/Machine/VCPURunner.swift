import CLinux
import Glibc
import HostSystem
import KVM
import Synchronization
import VirtualHardware

/// A vCPU and its thread: enters the guest, handles its exits, and stops at the gate when requested.
final class VCPURunner: @unchecked Sendable {
    // Unchecked because of `vcpu`: its thread uses it while the gate is open, the machine's owner while all are paused.
    private var vcpu: VCPU
    private let number: Int
    private let gate: RunGate
    private let ports: AddressBus
    private let registers: AddressBus
    private let coalescing: CoalescedWrites?
    private let onEvent: @Sendable (GuestEvent) -> Void
    private let powerOn: PowerOnState
    private let exits = Atomic<UInt64>(0)
    private let threadNumber = Atomic<Int32>(0)

    /// Its number of exits to user space.
    var exitCount: UInt64 { exits.load(ordering: .relaxed) }

    /// The host's id of its thread; 0 before it has started.
    var threadID: Int32 { threadNumber.load(ordering: .relaxed) }

    init(
        _ vcpu: consuming VCPU, number: Int, gate: RunGate, ports: AddressBus, registers: AddressBus,
        coalescing: CoalescedWrites?, onEvent: @escaping @Sendable (GuestEvent) -> Void
    ) throws {
        powerOn = try PowerOnState(of: vcpu)
        self.vcpu = vcpu
        self.number = number
        self.gate = gate
        self.ports = ports
        self.registers = registers
        self.coalescing = coalescing
        self.onEvent = onEvent
    }

    func start() throws(SystemCallError) {
        let thread = try HostThread("vcpu\(number)") { [self] in
            RunGate.admitSignal()
            threadNumber.store(vmlab_thread_id(), ordering: .relaxed)
            while gate.pass() { runUntilInterrupted() }
        }
        gate.add(thread, vcpu.kicker)
    }

    /// Accesses the vCPU while it is paused.
    func withVCPU<Result>(_ body: (borrowing VCPU) throws -> Result) rethrows -> Result {
        assert(!gate.isOpen, "the vCPU may be running")
        return try body(vcpu)
    }

    /// Resets it to power-on, while it is paused.
    func reset() throws { try powerOn.restore(to: vcpu) }

    private func runUntilInterrupted() {
        while true {
            do throws(SystemCallError) {
                let exit = try vcpu.enter()
                exits.add(1, ordering: .relaxed)
                coalescing?.drain()
                if exit == .interrupted { return }
                handle(exit)
            } catch {
                fail("\(error)")
                return
            }
        }
    }

    private func handle(_ exit: VCPUExit) {
        switch exit {
        case .portRead(let port, let width, let count):
            let bytes = vcpu.portBytes
            for index in 0..<count where (index + 1) * width <= bytes.count {
                let value = ports.read(at: UInt64(port), width: width)
                withUnsafeBytes(of: value.littleEndian) { value in
                    UnsafeMutableRawBufferPointer(rebasing: bytes[(index * width)...]).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: value[..<min(width, 8)]))
                }
            }
        case .portWrite(let port, let width, let count):
            let bytes = vcpu.portBytes
            for index in 0..<count where (index + 1) * width <= bytes.count {
                var value: UInt64 = 0
                withUnsafeMutableBytes(of: &value) { target in
                    target.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes[(index * width)..<((index + 1) * width)]))
                }
                ports.write(value, at: UInt64(port), width: width)
            }
        case .memoryRead(let address, let width):
            vcpu.finishRead(registers.read(at: address, width: width))
        case .memoryWrite(let address, let width, let value):
            registers.write(value, at: address, width: width)
        case .shutdown:
            gate.hold()
            onEvent(.reset(by: .tripleFault))
        case .halt, .systemEvent, .failedEntry, .internalError, .other:
            fail("processor \(number): \(exit)" + place)
        case .interrupted: break
        }
    }

    /// The guest's instruction pointer, for messages.
    private var place: String {
        guard let registers = try? vcpu.registers() else { return "" }
        return " at instruction address 0x" + String(registers.rip, radix: 16)
    }

    private func fail(_ reason: String) {
        gate.hold()
        onEvent(.failed(reason))
    }
}

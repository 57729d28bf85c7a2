import CKVM

/// Why a vCPU left the guest.
public enum VCPUExit: Sendable, Hashable {
    /// It reads from a port `count` times `width` bytes (a string instruction repeats): fill `VCPU.portBytes`.
    case portRead(port: UInt16, width: Int, count: Int)
    /// It wrote to a port what is in `VCPU.portBytes`.
    case portWrite(port: UInt16, width: Int, count: Int)
    /// It reads where there is no memory: answer by `VCPU.finishRead`.
    case memoryRead(address: UInt64, width: Int)
    /// It wrote where there is no memory.
    case memoryWrite(address: UInt64, width: Int, value: UInt64)
    /// It halted and nothing can wake it. Only without the kernel's interrupt controller.
    case halt
    /// A triple fault: the processor gave up.
    case shutdown
    /// A kick or a signal; nothing of the guest's.
    case interrupted
    /// The guest asked the hypervisor for a reset, a shutdown or told of a crash.
    case systemEvent(UInt32)
    /// The processor refused the guest's state, for a reason of the hardware's.
    case failedEntry(reason: UInt64)
    /// KVM met something that it cannot emulate.
    case internalError(suberror: UInt32, data: [UInt64])
    /// Something that was never asked for.
    case other(reason: UInt32)
}

extension VCPUExit: CustomStringConvertible {
    /// What the guest did, as a part of a sentence.
    public var description: String {
        func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
        switch self {
        case .portRead(let port, let width, _): return "read of \(width) bytes from port \(hex(port))"
        case .portWrite(let port, let width, _): return "write of \(width) bytes to port \(hex(port))"
        case .memoryRead(let address, let width): return "read of \(width) bytes at \(hex(address))"
        case .memoryWrite(let address, let width, _): return "write of \(width) bytes at \(hex(address))"
        case .halt: return "halt"
        case .shutdown: return "triple fault"
        case .interrupted: return "interrupted"
        case .systemEvent(let kind): return "system event \(kind)"
        case .failedEntry(let reason): return "the processor refused to enter the guest, reason \(hex(reason))"
        case .internalError(let suberror, let data):
            let what =
                switch suberror {
                case 1: "KVM cannot emulate an instruction of the guest"
                case 2: "two faults at the same time in KVM"
                case 3: "KVM could not deliver an event to the guest"
                default: "KVM internal error \(suberror)"
                }
            return data.isEmpty ? what : what + " (" + data.map(hex).joined(separator: " ") + ")"
        case .other(let reason): return "exit reason \(reason)"
        }
    }
}

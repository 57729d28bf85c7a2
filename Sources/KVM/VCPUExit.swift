import CKVM

/// The reason of a vCPU exit.
public enum VCPUExit: Sendable, Hashable {
    /// A port read of `count` times `width` bytes (a string instruction repeats): fill `VCPU.portBytes`.
    case portRead(port: UInt16, width: Int, count: Int)
    /// A port write; the data is in `VCPU.portBytes`.
    case portWrite(port: UInt16, width: Int, count: Int)
    /// An MMIO read: answer with `VCPU.finishRead`.
    case memoryRead(address: UInt64, width: Int)
    /// An MMIO write.
    case memoryWrite(address: UInt64, width: Int, value: UInt64)
    /// HLT, only without the in-kernel interrupt controller.
    case halt
    /// A triple fault.
    case shutdown
    /// A kick or a signal, not caused by the guest.
    case interrupted
    /// The guest requested a reset or a shutdown, or reported a crash.
    case systemEvent(UInt32)
    /// VM entry failed, with the hardware's reason.
    case failedEntry(reason: UInt64)
    /// KVM cannot emulate an instruction or failed internally.
    case internalError(suberror: UInt32, data: [UInt64])
    /// An unexpected exit reason.
    case other(reason: UInt32)
}

extension VCPUExit: CustomStringConvertible {
    /// The exit as a part of a sentence.
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

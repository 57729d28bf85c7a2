import HostSystem
import VirtualHardware

/// Why a guest cannot be booted from the files it was given.
package enum BootError: Error, Sendable, Hashable, CustomStringConvertible {
    case unreadable(SystemCallError)
    case malformed(path: String, reason: String, remedy: String)
    case tooLarge(what: String, need: UInt64, have: UInt64)
    case longCommandLine(Int)

    init(_ error: any Error) {
        switch error {
        case let error as BootError: self = error
        case let error as SystemCallError: self = .unreadable(error)
        // The boot data's own places lie in the first MiB, which every machine has.
        default: self = .tooLarge(what: "the boot data", need: MachineLayout.highMemoryStart, have: 0)
        }
    }

    /// What is wrong with which file, and what to do about it, as a sentence goes on.
    package var description: String {
        switch self {
        case .unreadable(let error): "\(error)"
        case .malformed(let path, let reason, let remedy): "\(path): \(reason); \(remedy)"
        case .tooLarge(let what, let need, let have):
            "\(what) needs \(need >> 20) MiB of the guest's memory but only \(have >> 20) MiB are left: give it more memory"
        case .longCommandLine(let count):
            "the kernel's command line has \(count) bytes; kernels take \(MachineLayout.commandLineLimit - 1)"
        }
    }
}

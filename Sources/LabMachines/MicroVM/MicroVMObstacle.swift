import Diagnostics
import LabEngine
import LabSpec
import struct MicroVM.VMConfiguration

/// What a guest asks for and the built-in machine is not made for. QEMU is, in every case.
struct MicroVMObstacle: Sendable, Hashable {
    /// What it is, as the end of a sentence that begins with the guest's name.
    let reason: String

    /// What stands in the way of a group's guests; nil when nothing does.
    init?(_ group: GuestGroup, image: ImageFacts, hasOutside: Bool) {
        let memory = group.memory ?? image.defaultMemory
        if image.start == .firmware {
            reason = "boots by firmware, which the built-in machine does not have"
        } else if hasOutside {
            reason = "is on a network with `nat`, which the built-in machine cannot reach"
        } else if !VMConfiguration.cpuRange.contains(group.cpus) {
            reason = "has \(group.cpus) vCPUs; the built-in machine has at most \(VMConfiguration.cpuRange.upperBound)"
        } else if !VMConfiguration.memoryRange.contains(memory.bytes) {
            let range = VMConfiguration.memoryRange
            reason =
                "has \(memory) of RAM; the built-in machine has \(ByteCount(range.lowerBound)) to \(ByteCount(range.upperBound))"
        } else {
            return nil
        }
    }

    /// The same of a machine that is to be started.
    init?(_ configuration: MachineConfiguration) {
        if configuration.image.kernel == nil || configuration.image.firmware != nil {
            reason = "boots by firmware, which the built-in machine does not have"
        } else if configuration.networks.contains(where: { $0.link == .nat }) {
            reason = "is on a network with `nat`, which the built-in machine cannot reach"
        } else {
            return nil
        }
    }

    /// The obstacle as a user reads it who asked for the built-in machine.
    func diagnostic(_ guest: String) -> Diagnostic {
        Diagnostic(.specification, "\(guest) \(reason)", remedy: "use `backend: qemu` for this guest")
    }
}

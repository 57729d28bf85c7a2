import Diagnostics
import GuestControl
import LabSpec
import QMP
import Quantities

/// What a guest asks for and the built-in machine does not have. QEMU has all of it.
struct MicroVMObstacle: Sendable, Hashable {
    /// What it is, as a sentence goes on that begins with "the built-in backend".
    let reason: String

    private static let mostProcessors = VMConfiguration.cpuRange.upperBound
    private static let leastMemory = ByteCount(VMConfiguration.memoryRange.lowerBound)

    private static let firmware = "boots kernels, not firmware or disks"

    /// What stands in the way of a group's guests, whatever the host; nil when nothing does.
    init?(_ group: GuestGroup, of image: ImageFacts) {
        let memory = group.memory ?? image.defaultMemory
        if group.nested {
            reason = "has no processors for `nested: true`"
        } else if !image.hasKernel {
            reason = Self.firmware
        } else if group.cpus > Self.mostProcessors {
            reason = "gives a guest at most \(Self.mostProcessors) processors"
        } else if memory < Self.leastMemory {
            reason = "gives a guest at least \(Self.leastMemory) of memory"
        } else {
            return nil
        }
    }

    /// The same of a machine that is to be started.
    init?(_ configuration: MachineConfiguration) {
        if configuration.image.kernel == nil || configuration.image.firmware != nil {
            reason = Self.firmware
        } else {
            return nil
        }
    }

    /// The obstacle for somebody who asked for the built-in machine all the same.
    func diagnostic(_ guest: String, at span: SourceSpan? = nil) -> Diagnostic {
        Diagnostic(
            .specification, "\(guest): the built-in backend \(reason)",
            remedy: "use `backend: auto` or `backend: qemu` for this guest", at: span)
    }
}

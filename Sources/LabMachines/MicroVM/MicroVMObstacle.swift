import Diagnostics
import GuestControl
import LabSpec
import QMP
import Quantities

/// A feature that the guest needs and the built-in machine lacks. QEMU has all of them.
struct MicroVMObstacle: Sendable, Hashable {
    /// Completes a sentence that begins with "the built-in backend".
    let reason: String

    private static let mostProcessors = VMConfiguration.cpuRange.upperBound
    private static let leastMemory = ByteCount(VMConfiguration.memoryRange.lowerBound)

    private static let firmware = "boots kernels, not firmware or disks"

    /// The obstacle for a group's guests on any host; nil when there is none.
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

    init?(_ configuration: MachineConfiguration) {
        if configuration.image.kernel == nil || configuration.image.firmware != nil {
            reason = Self.firmware
        } else {
            return nil
        }
    }

    /// The error for a group that asks for the built-in machine.
    func diagnostic(_ guest: String, at span: SourceSpan? = nil) -> Diagnostic {
        Diagnostic(
            .specification, "\(guest): the built-in backend \(reason)",
            remedy: "use `backend: auto` or `backend: qemu` for this guest", at: span)
    }
}

import Diagnostics
import HostSystem
import LabEngine
import LabImages
import LabMachines
import LabSpec

/// Plans labs for this host: its memory, its backends, the images as far as they are known without building them.
struct Planner {
    let host: HostOptions
    let facts = HostFacts()

    /// Memory that stays free for the host whatever the fleet takes.
    private static let reserve = ByteCount.mebibytes(256)

    /// A plan for each lab. Throws why any of them can never run here, all reasons at once.
    func plans(for labs: [Lab]) async throws -> [RunPlan] {
        let budget = budget
        let backends = await BackendSelection(override: host.backend)
        var plans: [RunPlan] = []
        var problems: [Diagnostic] = []
        for lab in labs {
            let (images, imageProblems) = ImageCatalog.facts(of: lab)
            problems += imageProblems
            guard imageProblems.isEmpty else { continue }
            do throws(DiagnosticList) {
                plans.append(
                    try RunPlan.make(lab: lab, images: images, budget: budget, seats: host.jobs) {
                        group throws(Diagnostic) in try backends.backend(for: group)
                    })
            } catch {
                problems += error.all
            }
        }
        guard problems.isEmpty else { throw DiagnosticList(problems) }
        return plans
    }

    /// What guests may take: what is available now, less a reserve, and no more than `--memory`.
    var budget: MemoryBudget {
        let usable = facts.usableMemory
        let available = ByteCount(usable - min(usable, Self.reserve.bytes))
        let source = facts.cgroupMemory.map { $0 < facts.availableMemory } == true ? "this control group" : "this host"
        if let memory = host.memory, memory < available {
            return MemoryBudget(limit: memory, explanation: "--memory \(memory)")
        }
        return MemoryBudget(limit: available, explanation: "\(ByteCount(usable)) are available on \(source)")
    }
}

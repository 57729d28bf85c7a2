import ArgumentParser
import Diagnostics
import HostSystem
import LabRunner
import LabImages
import LabMachines
import LabResults
import LabScripting
import LabSpec
import Logging
import Quantities

/// Plans labs for this host: its memory, its backends, the images as far as they are known without building them.
struct Planner {
    let host: HostOptions
    /// What of the host's files labs may name besides their own.
    let access: HostAccess
    let facts = HostFacts()

    /// Memory that stays free for the host whatever the fleet takes.
    private static let reserve = ByteCount.mebibytes(256)

    /// What the files have to run, in their order: a plan for each cell of each lab, the scripts. Throws all mistakes of all
    /// files at once, also why a lab can never run here; warnings are printed.
    func jobs(_ options: LabOptions) async throws -> [RunJob] {
        let backends = BackendSelection(override: host.backend)
        let budget = budget
        let settings = try options.parsedSettings()
        Logger(label: "vmlab.commands").debug(
            "memory that guests may take", metadata: ["limit": "\(budget.limit)", "why": "\(budget.explanation)"])
        var jobs: [RunJob] = []
        var problems: [Diagnostic] = []
        for (number, file) in options.files.enumerated() {
            do throws(DiagnosticList) {
                if LabOptions.isScript(file) {
                    jobs.append(RunJob(file: number, work: .script(try Script.load(file))))
                    continue
                }
                let loaded = try LabFile.load(
                    path: file, settings: settings, catalog: Set(ImageCatalog.names), access: access,
                    checking: { lab in
                        switch plan(lab.filtered(options.filter), budget, backends) {
                        case .success(let plan):
                            jobs.append(RunJob(file: number, work: .lab(plan)))
                            return plan.pathProblems + LuaCheck.problems(in: lab)
                        case .failure(let list):
                            return list.all + LuaCheck.problems(in: lab)
                        }
                    })
                Output.warnings(loaded.warnings)
            } catch {
                problems += error.all
            }
        }
        guard problems.isEmpty else { throw DiagnosticList(problems) }
        let plans = jobs.compactMap(\.plan)
        guard options.filter.isEmpty || plans.isEmpty || plans.contains(where: { !$0.lab.tasks.isEmpty }) else {
            throw ValidationError("--filter \(options.filter.joined(separator: " ")): no task has such a name")
        }
        // A lab that has no task of such a name is not what was asked for.
        return options.filter.isEmpty ? jobs : jobs.filter { $0.plan?.lab.tasks.isEmpty != true }
    }

    /// What the guests of a script boot with. Their images' progress is told to `recorder`.
    func resources(_ recorder: RunRecorder) -> ScriptFleet.Resources {
        let backends = BackendSelection(override: host.backend)
        let budget = budget
        return ScriptFleet.Resources(
            memory: budget.limit, slots: host.jobs ?? Int(Int16.max), boots: boots,
            plan: { lab in try plan(lab, budget, backends).get() },
            images: { lab in
                try await ImageSupply(setup: SetupRunner(planner: self)).images(for: lab) { image, step, fraction in
                    recorder.emit(.imageProgress(image: image, step: step, fraction: fraction))
                }
            }, goldens: GoldenStore())
    }

    private func plan(
        _ lab: Lab, _ budget: MemoryBudget, _ backends: BackendSelection
    ) -> Result<RunPlan, DiagnosticList> {
        // A lab with other mistakes may name images that are not there, which the decoder has said in their place.
        var lab = lab
        lab.groups.removeAll { lab.images[$0.image] == nil && !ImageCatalog.names.contains($0.image) }
        let (images, problems) = ImageCatalog.facts(of: lab)
        do throws(DiagnosticList) {
            let plan = try RunPlan.make(lab: lab, images: images, budget: budget, slots: host.jobs) {
                group, image throws(Diagnostic) in try backends.backend(for: group, of: image)
            }
            return problems.isEmpty ? .success(plan) : .failure(DiagnosticList(problems))
        } catch {
            return .failure(DiagnosticList(problems + error.all))
        }
    }

    /// How many guests boot at the same time: one more than there are processors keeps these busy when one of them ends.
    var boots: Int { facts.processorCount + 1 }

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

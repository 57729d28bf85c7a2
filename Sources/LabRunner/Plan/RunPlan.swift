import Diagnostics
import GuestConsole
import GuestControl
import LabResults
import LabSpec
import Quantities

/// The plan of a run: every guest with its image, memory and backend, and every run of every task.
public struct RunPlan: Sendable {
    /// The RAM in use at the prompt after a boot, at most all of it. Debian's and Wine's images use 90 to 160 MiB, other
    /// distributions more.
    static let bootedMemory = ByteCount.mebibytes(256)
    /// The private RAM of a clone after it has its identity and has run a command. Most of its RAM is shared with the golden.
    static let clonedMemory = ByteCount.mebibytes(64)

    /// The lab.
    public let lab: Lab
    /// Guests in the order of the file.
    public let guests: [PlannedGuest]
    /// The memory limit of the fleet.
    public let budget: MemoryBudget
    /// The maximum number of concurrent guests.
    public let slots: Int

    /// Plans a lab.
    ///
    /// `images` provides the facts of each image in the lab, `backend` chooses a group's backend. Throws all reasons why the
    /// lab cannot run here at once: a guest below its image's minimum or above the budget, networked guests that must be up
    /// together and do not fit, errors of `backend`. Under overcommit the image's minimum is compared with the budget, and for
    /// peers their initial charges.
    public static func make(
        lab: Lab, images: [String: ImageFacts], budget: MemoryBudget, slots: Int? = nil,
        backend: (GuestGroup, ImageFacts) throws(Diagnostic) -> any MachineBackend
    ) throws(DiagnosticList) -> RunPlan {
        var problems: [Diagnostic] = []
        var guests: [PlannedGuest] = []
        for group in lab.groups {
            guard let facts = images[group.image] else {
                problems.append(Diagnostic(.specification, "image \(group.image) is not known", at: group.span))
                continue
            }
            let memory = group.memory ?? facts.defaultMemory
            if memory < facts.minimumMemory {
                problems.append(
                    Diagnostic(
                        .specification,
                        "\(group.name): \(memory) is too little for image \(group.image), which needs \(facts.minimumMemory)",
                        remedy: "write `memory: \(facts.minimumMemory)` or more, or leave it out for "
                            + "\(facts.defaultMemory)", at: group.span))
            }
            if group.boot == .clone, let obstacle = CloneObstacle(isCloneable: facts.isCloneable) {
                problems.append(obstacle.diagnostic(group))
            }
            do throws(Diagnostic) {
                let backend = try backend(group, facts)
                // A guest that is reset has a second machine prepared next to it.
                let names = Set(group.guests.map(\.name))
                let machines = lab.tasks.contains { $0.resets(anyOf: names) } ? 2 : 1 as UInt64
                let overhead = ByteCount(backend.overhead(memory: memory, cpus: group.cpus).bytes * machines)
                let cost = memory + overhead
                let usual = group.boot == .clone ? clonedMemory : max(bootedMemory, facts.minimumMemory)
                let start = min(usual, memory) + overhead
                let least = lab.admission == .strict ? memory : min(memory, facts.minimumMemory)
                if least + overhead > budget.limit {
                    problems.append(tooLarge(group, memory: least, cost: least + overhead, budget: budget))
                }
                for guest in group.guests {
                    guests.append(
                        PlannedGuest(
                            guest: guest, group: group, os: facts.os, memory: memory, cost: cost, start: start,
                            backend: backend))
                }
            } catch {
                problems.append(located(error, at: group.span))
            }
        }
        problems += networksThatCannotFit(lab, guests: guests, budget: budget)
        problems += unsupported(lab)
        problems += shellsOfOthers(lab, guests: guests)
        guard problems.isEmpty else { throw DiagnosticList(problems) }
        return RunPlan(lab: lab, guests: guests, budget: budget, slots: max(1, slots ?? guests.count))
    }

    /// The cost of the whole fleet.
    public var totalCost: ByteCount { guests.reduce(ByteCount(0)) { $0 + $1.cost } }

    /// The number of batches when each guest runs to its end before the next takes its slot; under overcommit an estimate
    /// before guests are measured.
    public var batches: Int { batchSizes(lab.admission).count }

    /// The number of concurrent guests in the largest batch.
    public func guestsAtOnce(_ admission: AdmissionMode) -> Int { batchSizes(admission).max() ?? 0 }

    private func batchSizes(_ admission: AdmissionMode) -> [Int] {
        var sizes: [Int] = []
        var used = ByteCount(0)
        var count = 0
        for guest in guests {
            let cost = guest.reckoned(admission)
            if count > 0, used + cost > budget.limit || count >= slots {
                sizes.append(count)
                used = ByteCount(0)
                count = 0
            }
            used = used + cost
            count += 1
        }
        return count > 0 ? sizes + [count] : sizes
    }

    var guestsWithTasks: Set<String> {
        Set(lab.tasks.flatMap(\.targets).flatMap(\.guests))
    }

    /// Every run of every task, in file order.
    public var runs: [TaskID] {
        lab.tasks.flatMap { task in
            task.targets.flatMap { target -> [TaskID] in
                let guests: [String?] =
                    switch target {
                    case .every(let names): names
                    case .any: [nil]
                    }
                return guests.flatMap { guest in
                    (1...max(task.repetitions, 1)).map {
                        TaskID(task: task.name, guest: guest, index: $0, repetitions: task.repetitions)
                    }
                }
            }
        }
    }

    /// The content of the run's first event.
    public func description(host: HostDescription, version: String) -> RunDescription {
        RunDescription(
            lab: lab.name, cell: lab.cell?.id, file: lab.source.path, host: host,
            guests: guests.map(\.description), tasks: runs, version: version)
    }

    private static func tooLarge(
        _ group: GuestGroup, memory: ByteCount, cost: ByteCount, budget: MemoryBudget
    ) -> Diagnostic {
        // For large guests the overhead vanishes in rounding.
        let overhead = "\(cost)" == "\(memory)" ? "" : " (\(memory) and the virtual machine's overhead)"
        return Diagnostic(
            .specification,
            "\(group.name): one guest needs \(cost)\(overhead), but only \(budget.limit) may be used",
            remedy: "lower its `memory:`, or free memory on the host", cause: budget.explanation, at: group.span)
    }

    /// Guests on a common network are peers that must be up together.
    private static func networksThatCannotFit(
        _ lab: Lab, guests: [PlannedGuest], budget: MemoryBudget
    ) -> [Diagnostic] {
        lab.networks.compactMap { network in
            let peers = guests.filter { $0.group.networks.contains(network.name) }
            let sum = peers.reduce(ByteCount(0)) { $0 + $1.reckoned(lab.admission) }
            guard peers.count > 1, sum > budget.limit else { return nil }
            return Diagnostic(
                .specification,
                "the \(peers.count) guests on network \(network.name) must be up together and need \(sum), but only "
                    + "\(budget.limit) may be used",
                remedy: "lower their `memory:` or `count:`", cause: budget.explanation, at: network.span)
        }
    }

    private static func unsupported(_ lab: Lab) -> [Diagnostic] {
        var problems: [Diagnostic] = []
        for task in lab.tasks {
            // Results could not be told apart.
            var seen = Set<String>()
            if let twice = task.targets.flatMap({ Set($0.guests).sorted() }).first(where: { !seen.insert($0).inserted })
            {
                problems.append(
                    Diagnostic(
                        .specification, "task \(task.name): two of its targets name the guest \(twice)",
                        remedy: "make it two tasks, or name each guest once", at: task.span))
            }
        }
        return problems
    }

    /// On Windows-like guests cmd.exe runs all scripts itself, as the one user there is.
    private static func shellsOfOthers(_ lab: Lab, guests: [PlannedGuest]) -> [Diagnostic] {
        let windows = guests.filter { $0.os == .windows }
        let names = Set(windows.map(\.guest.name))
        func problem(_ shell: String?, _ what: String, _ span: SourceSpan?) -> Diagnostic? {
            guard let shell, shell != "cmd" else { return nil }
            return Diagnostic(
                .specification, "\(what): its scripts are run by cmd.exe, not by `\(shell)`",
                remedy: "give Windows-like guests `shell: cmd`, or tasks of their own", at: span)
        }
        /// What cmd.exe and its one user have no word for.
        func foreign(_ task: LabTask, on guest: String) -> Diagnostic? {
            guard task.user != nil || task.separatesErrors else { return nil }
            let key = task.user == nil ? "stderr" : "user"
            return Diagnostic(
                .specification,
                "task \(task.name) on \(guest): `\(key)` is for Linux guests, and this one is Windows-like",
                remedy: "leave it out, or give Windows-like guests tasks of their own", at: task.place(of: key))
        }
        var seen: Set<String> = []
        return windows.filter { seen.insert($0.group.name).inserted }
            .compactMap { problem($0.group.shell, $0.group.name, $0.group.span) }
            + lab.tasks.compactMap { task in
                let guest = task.targets.flatMap(\.guests).first { names.contains($0) }
                return guest.flatMap {
                    problem(task.shell, "task \(task.name) on \($0)", task.span) ?? foreign(task, on: $0)
                }
            }
    }

    private static func located(_ problem: Diagnostic, at span: SourceSpan?) -> Diagnostic {
        var problem = problem
        problem.span = problem.span ?? span
        return problem
    }
}

/// The memory limit of a fleet.
public struct MemoryBudget: Sendable, Hashable {
    /// The limit.
    public var limit: ByteCount
    /// The source of the limit, for messages: `22.1GiB are available on this host`.
    public var explanation: String

    /// A budget as given.
    public init(limit: ByteCount, explanation: String) {
        self.limit = limit
        self.explanation = explanation
    }
}

extension LabTask {
    /// Whether the task may run on one of these guests and resets it.
    func resets(anyOf guests: Set<String>) -> Bool {
        reset == .snapshot && targets.contains { !guests.isDisjoint(with: $0.guests) }
    }
}

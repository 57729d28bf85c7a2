import Diagnostics
import HostSystem
import LabResults
import LabSpec
import Synchronization

/// Applies `cpuWeight` and `ioWeight`: a control group per machine where this process may create groups, else a lower priority for
/// guests below the default weight. Nothing is created before a guest declares a weight. From then on every machine gets a group,
/// so that guests without a declaration weigh 100 each.
package final class GuestShares: MachineObserver {
    private enum Placement {
        case groups(ControlGroupTree, Set<String>)
        case priorities
    }

    private struct State {
        var placement: Placement?
        /// The process ids in each guest's control group.
        var members: [String: Set<Int32>] = [:]
    }

    private let journal: RunJournal
    private let recorder: RunRecorder
    /// Whether some guest is known to declare a weight: then earlier guests get groups too.
    private let isEager: Bool
    private let makeTree: @Sendable (RunJournal) throws -> (ControlGroupTree, Set<String>)
    private let processes: ProcessTable
    private let state = Mutex(State())
    /// Makes the run's group once; other guests wait meanwhile.
    private let making = AsyncSemaphore()

    /// The shares of a run's guests. `makeTree` creates the run's control group and returns the controllers available in it.
    package init(
        groups: [GuestGroup] = [], journal: RunJournal, recorder: RunRecorder, processes: ProcessTable = ProcessTable(),
        makeTree: @escaping @Sendable (RunJournal) throws -> (ControlGroupTree, Set<String>) = GuestShares.delegated
    ) {
        self.journal = journal
        self.recorder = recorder
        self.processes = processes
        self.makeTree = makeTree
        isEager = groups.contains { $0.cpuWeight != nil || $0.ioWeight != nil }
    }

    package func started(_ machine: RunningMachine) async {
        let group = machine.group
        guard let placement = await placement(for: group) else { return }
        switch placement {
        case .groups(let tree, _):
            let name = Self.name(of: machine)
            state.withLock { _ = $0.members[name, default: []].insert(machine.processID) }
            do {
                try tree.add(
                    name, processID: machine.processID, cpuWeight: group.cpuWeight, ioWeight: group.ioWeight)
            } catch {
                recorder.emit(
                    .note(
                        level: .warning,
                        message: "\(machine.guest) has no weight of its own: \(sentence(of: error))"))
            }
        case .priorities:
            guard let weight = group.cpuWeight, let nice = Self.niceness(ofWeight: weight) else { return }
            await processes.lowerPriority(ofGroup: machine.processID, nice: nice)
        }
    }

    package func ended(_ machine: RunningMachine) async {
        let tree = state.withLock { state -> ControlGroupTree? in
            guard case .groups(let tree, _) = state.placement else { return nil }
            let name = Self.name(of: machine)
            // Machines that were made in advance and never used end here too.
            guard state.members[name]?.remove(machine.processID) != nil, state.members[name]?.isEmpty == true else {
                return nil
            }
            state.members[name] = nil
            return tree
        }
        tree?.remove(Self.name(of: machine))
    }

    /// Removes the control groups. Call it when no machine is left.
    package func close() {
        let placement = state.withLock { state in
            defer { state.placement = nil }
            return state.placement
        }
        if case .groups(let tree, _) = placement { tree.close() }
    }

    /// How a machine gets its weight; nil while no guest declares one, and in a cancelled task.
    private func placement(for group: GuestGroup) async -> Placement? {
        guard isEager || group.cpuWeight != nil || group.ioWeight != nil || isMade else {
            return nil
        }
        return try? await making.withPlace {
            if let placement = state.withLock({ $0.placement }) { return placement }
            let (placement, warning) = await make()
            state.withLock { $0.placement = placement }
            if let warning { recorder.emit(.note(level: .warning, message: warning)) }
            return placement
        }
    }

    private var isMade: Bool { state.withLock { $0.placement != nil } }

    private func make() async -> (placement: Placement, warning: String?) {
        do {
            let (tree, controllers) = try await HostThread.run("vmlab-shares") { [makeTree, journal] _ in
                try makeTree(journal)
            }
            let lacking = ["cpu", "io"].first { !controllers.contains($0) }
            return (
                .groups(tree, controllers),
                lacking.map { "no guest can have its `\($0)Weight`: the \($0) controller was not delegated" }
            )
        } catch {
            return (.priorities, Self.warning(of: error))
        }
    }

    private static func warning(of error: any Error) -> String {
        let refusal = error as? ControlGroupDelegation.Refusal
        return
            "`cpuWeight` and `ioWeight` have no effect: \(refusal?.reason ?? sentence(of: error)); guests with a "
            + "`cpuWeight` below 100 only run at a lower priority" + (refusal.map { " (\($0.remedy))" } ?? "")
    }

    /// Prefixed: a guest's name may equal that of a control file.
    private static func name(of machine: RunningMachine) -> String { "guest-\(machine.guest)" }

    /// The run's group within this process's own.
    static func delegated(_ journal: RunJournal) throws -> (ControlGroupTree, Set<String>) {
        let delegation = try ControlGroupDelegation.find().get()
        let tree = try ControlGroupTree(delegation, name: "vmlab-\(journal.id)") { path in
            try journal.record(.controlGroup(path))
        }
        return (tree, delegation.controllers)
    }

    /// The nice value for this weight against others of 100: each step is a quarter. Nil for 100 and more, which would need a
    /// privilege.
    static func niceness(ofWeight weight: Int) -> Int? {
        guard weight < 100 else { return nil }
        var nice = 0
        var share = 100.0
        while nice < 19, share > Double(weight) * 1.118 {
            share /= 1.25
            nice += 1
        }
        return nice > 0 ? nice : nil
    }
}

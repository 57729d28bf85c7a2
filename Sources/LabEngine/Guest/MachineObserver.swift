/// Looks after guests' machines while they run, such as who measures, weighs or protects them. Whatever it cannot do costs
/// no guest its run.
protocol MachineObserver: Sendable {
    /// A machine of guest `number` has started. A guest may have one after the other, and a new one before the old is gone.
    func started(_ machine: RunningMachine) async

    /// The guest on it is ready, for the first time or again.
    func ready(_ machine: RunningMachine)

    /// The machine is gone.
    func ended(_ machine: RunningMachine) async
}

/// A machine as those see it who look after it.
struct RunningMachine: Sendable {
    /// The guest's number in the run; nil for a machine that is no guest of it.
    let number: Int?
    /// The guest.
    let guest: RunPlan.PlannedGuest
    /// The machine's process.
    let processID: Int32
}

extension MachineObserver {
    func ready(_ machine: RunningMachine) {}
    func ended(_ machine: RunningMachine) async {}
}

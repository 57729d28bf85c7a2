import LabSpec

/// Looks after guests' machines while they run, such as who measures, weighs or protects them. Whatever it cannot do costs
/// no guest its run.
package protocol MachineObserver: Sendable {
    /// A machine of guest `number` has started. A guest may have one after the other, and a new one before the old is gone.
    func started(_ machine: RunningMachine) async

    /// The guest on it is ready, for the first time or again.
    func ready(_ machine: RunningMachine)

    /// The machine is gone.
    func ended(_ machine: RunningMachine) async
}

/// A machine as those see it who look after it.
package struct RunningMachine: Sendable {
    /// The guest's number in the run; nil for a machine that is no guest of it.
    let number: Int?
    /// The guest's name.
    let guest: String
    /// Its group's declaration.
    let group: GuestGroup
    /// The machine's process.
    package let processID: Int32

    package init(number: Int?, guest: String, group: GuestGroup, processID: Int32) {
        self.number = number
        self.guest = guest
        self.group = group
        self.processID = processID
    }
}

extension MachineObserver {
    package func ready(_ machine: RunningMachine) {}
    package func ended(_ machine: RunningMachine) async {}
}

import LabSpec

/// Observes guests' machines while they run: measures, weighs or protects them. Failures of an observer never fail a guest.
package protocol MachineObserver: Sendable {
    /// A machine of guest `number` has started. A guest may have several in turn, and a new one before the old one is gone.
    func started(_ machine: RunningMachine) async

    /// The guest on the machine is ready, for the first time or again.
    func ready(_ machine: RunningMachine)

    func ended(_ machine: RunningMachine) async
}

/// What observers know of a machine.
package struct RunningMachine: Sendable {
    /// The guest's number in the run; nil for a machine that is no guest of the run.
    let number: Int?
    let guest: String
    let group: GuestGroup
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

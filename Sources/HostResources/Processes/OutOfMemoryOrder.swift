import HostSystem

/// Sets the kernel's OOM order: it shall kill a guest, whose tasks then end with an error, rather than the runner, which would
/// lose all results.
package struct OutOfMemoryOrder: MachineObserver {
    /// Added to the process's badness, which is its share of memory in thousandths: 500 is half of all memory.
    private static let bias = 500

    package init() {}

    package func started(_ machine: RunningMachine) async {
        ProcessTable().preferAsVictim(machine.processID, bias: Self.bias)
    }
}

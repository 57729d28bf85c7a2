import HostSystem

/// Tells the kernel whom to kill when memory runs out in spite of all: a guest, which costs its tasks an error, and not the
/// runner, which would cost all of them their results.
package struct OutOfMemoryOrder: MachineObserver {
    /// Added to a machine's own badness, which is its share of the memory in thousandths: half of all memory.
    private static let bias = 500

    package init() {}

    package func started(_ machine: RunningMachine) async {
        ProcessTable().preferAsVictim(machine.processID, bias: Self.bias)
    }
}

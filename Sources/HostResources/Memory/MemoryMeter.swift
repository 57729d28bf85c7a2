import HostSystem

/// Reads what memory there is and who holds it; tests bring one of their own.
public protocol MemoryMeter: Sendable {
    /// The host as it is now.
    func host() -> HostMemory

    /// Bytes that a process holds of its own; nil when there is no such process.
    func held(by processID: Int32) -> UInt64?
}

/// A host's memory at one moment.
public struct HostMemory: Sendable, Hashable {
    /// Bytes that can be had without swapping, under the control groups' limits too.
    public var available: UInt64
    /// How much work stands still for want of memory; nil where the kernel does not tell.
    public var pressure: MemoryPressure?

    /// A reading as given.
    public init(available: UInt64, pressure: MemoryPressure? = nil) {
        self.available = available
        self.pressure = pressure
    }
}

/// The meter of this host. One reading of the host is a few small files, one of a process a single one.
public struct HostMeter: MemoryMeter {
    private let facts = HostFacts()
    private let processes = ProcessTable()

    /// This host's meter.
    public init() {}

    /// What can be had now.
    public func host() -> HostMemory { HostMemory(available: facts.usableMemory, pressure: facts.memoryPressure) }

    /// Anonymous and shared memory, page tables, and what was swapped out. Pages of files, such as those that clones map
    /// from their golden, belong to no process.
    public func held(by processID: Int32) -> UInt64? { processes.heldMemory(of: processID) }
}

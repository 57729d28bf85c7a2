import HostSystem

/// Reads the memory of the host and of processes; tests bring their own.
public protocol MemoryMeter: Sendable {
    /// The host's memory now.
    func host() -> HostMemory

    /// The private memory of a process in bytes; nil when there is no such process.
    func held(by processID: Int32) -> UInt64?
}

/// A host's memory at one moment.
public struct HostMemory: Sendable, Hashable {
    /// Bytes available without swapping, within the control groups' limits.
    public var available: UInt64
    /// The kernel's pressure stall information; nil where it has none.
    public var pressure: MemoryPressure?

    /// A reading as given.
    public init(available: UInt64, pressure: MemoryPressure? = nil) {
        self.available = available
        self.pressure = pressure
    }
}

/// Reads this host: a few small files for the host, one for a process.
public struct HostMeter: MemoryMeter {
    private let facts = HostFacts()
    private let processes = ProcessTable()

    /// This host's meter.
    public init() {}

    /// The memory available now.
    public func host() -> HostMemory { HostMemory(available: facts.usableMemory, pressure: facts.memoryPressure) }

    /// Anonymous and shared memory, page tables and swap. File pages, such as those that clones map from their golden, are
    /// charged to no process.
    public func held(by processID: Int32) -> UInt64? { processes.heldMemory(of: processID) }
}

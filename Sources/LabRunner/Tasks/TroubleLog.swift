import LabResults
import Synchronization

/// Kernel troubles of guests during a task or a script.
public final class TroubleLog: Sendable {
    private let troubles = Mutex<[GuestTrouble]>([])

    /// An empty log.
    public init() {}

    /// Appends to the log.
    public func add(_ more: [GuestTrouble]) { troubles.withLock { $0 += more } }

    /// All troubles, in order.
    public var all: [GuestTrouble] { troubles.withLock { $0 } }
}

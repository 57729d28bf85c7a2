import LabResults
import Synchronization

/// What went wrong in the kernels of guests while a task or a script ran.
public final class TroubleLog: Sendable {
    private let troubles = Mutex<[GuestTrouble]>([])

    /// An empty log.
    public init() {}

    /// Adds to it.
    public func add(_ more: [GuestTrouble]) { troubles.withLock { $0 += more } }

    /// All of it, in order.
    public var all: [GuestTrouble] { troubles.withLock { $0 } }
}

import Synchronization
import VirtualHardware

/// An interrupt line that counts its edges.
final class CountingLine: InterruptLine {
    private let count = Atomic(0)

    /// Edges so far.
    var edges: Int { count.load(ordering: .sequentiallyConsistent) }

    func signal() { count.add(1, ordering: .sequentiallyConsistent) }
}

import Synchronization
import VirtualHardware

/// An interrupt line that counts its edges.
final class CountingLine: InterruptLine {
    private let count = Atomic<Int>(0)

    var edges: Int { count.load(ordering: .sequentiallyConsistent) }

    /// The edges since the last time.
    func take() -> Int { count.exchange(0, ordering: .sequentiallyConsistent) }

    func signal() { count.add(1, ordering: .sequentiallyConsistent) }
}

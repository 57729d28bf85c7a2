import HostSystem
import VirtualHardware

/// An interrupt line that counts its edges.
final class CountingLine: InterruptLine {
    private let count = Monitor(0)

    /// The edges since the last time.
    func take() -> Int {
        count.withLock { count in
            defer { count = 0 }
            return count
        }
    }

    /// Waits for an edge, and takes all there are. False when there is none for ten seconds.
    func wait() -> Bool {
        count.wait(milliseconds: 10_000) { count in
            guard count > 0 else { return nil }
            count = 0
            return true
        } ?? false
    }

    func signal() { count.withLock { $0 += 1 } }
}

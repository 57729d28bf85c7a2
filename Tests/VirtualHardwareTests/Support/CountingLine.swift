import HostSystem
import VirtualHardware

/// An interrupt line that counts its edges, and that a test can wait for.
final class CountingLine: InterruptLine {
    private let count = Monitor(0)

    func signal() { count.withLock { $0 += 1 } }

    /// The edges since the last time.
    func take() -> Int {
        count.withLock { count in
            defer { count = 0 }
            return count
        }
    }

    /// Returns when there is an edge to take, or after ten seconds with false.
    @discardableResult
    func wait() -> Bool { count.wait(milliseconds: 10_000) { $0 > 0 ? true : nil } ?? false }
}

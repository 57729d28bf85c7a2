import Synchronization

/// A device's notifications to its driver, on any transport. Callable on any thread, non-blocking.
package final class VirtioSignals: Sendable {
    /// Why a driver was interrupted (virtio 1.2, 4.2.2: InterruptStatus).
    enum Reason {
        static let usedBuffers: UInt32 = 1
        static let configuration: UInt32 = 2
    }

    private let line: any InterruptLine
    private let reasons = Atomic<UInt32>(0)
    private let broken = Atomic<Bool>(false)
    private let faults = Mutex<(count: Int, last: VirtqueueError?)>((0, nil))

    package init(_ line: any InterruptLine) { self.line = line }

    package func usedBuffers() { interrupt(Reason.usedBuffers) }

    /// The driver violated the protocol: the device needs a reset (2.1.2) and does nothing until then.
    package func fail(_ error: VirtqueueError) {
        faults.withLock { $0 = ($0.count + 1, error) }
        broken.store(true, ordering: .releasing)
        interrupt(Reason.configuration)
    }

    package var violations: (count: Int, last: VirtqueueError?) { faults.withLock { $0 } }

    /// Whether `fail` was called since the last reset.
    var needsReset: Bool { broken.load(ordering: .acquiring) }

    /// The unacknowledged interrupts.
    var pending: UInt32 { reasons.load(ordering: .acquiring) }

    func acknowledge(_ bits: UInt32) {
        reasons.bitwiseAnd(~bits, ordering: .acquiringAndReleasing)
    }

    func reset() {
        reasons.store(0, ordering: .releasing)
        broken.store(false, ordering: .releasing)
    }

    /// Adopts another one's pending interrupts and raises them again: they may not have reached the driver.
    func restore(pending: UInt32, needsReset: Bool) {
        reasons.store(pending, ordering: .releasing)
        broken.store(needsReset, ordering: .releasing)
        if pending != 0 { line.signal() }
    }

    private func interrupt(_ reason: UInt32) {
        reasons.bitwiseOr(reason, ordering: .acquiringAndReleasing)
        line.signal()
    }
}

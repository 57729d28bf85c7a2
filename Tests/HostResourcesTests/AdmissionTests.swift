import HostSystem
import LabSpec
import Quantities
import Synchronization
import Testing

@testable import HostResources

@Suite("Admission")
struct AdmissionTests {
    @Test("never lets in more than the budget, and everybody in the end", .timeLimit(.minutes(1)))
    func budget() async {
        let admission = Admission(memory: ByteCount(10), slots: 100)
        let used = Usage()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                let cost = UInt64(1 + number % 7)
                group.addTask {
                    guard await admission.acquire(ByteCount(cost)) else { return }
                    used.enter(cost)
                    await Task.yield()
                    used.leave(cost)
                    admission.release(ByteCount(cost))
                }
            }
        }
        #expect(used.peak <= 10)
        #expect(used.admitted == 200)
        #expect(admission.shortage == nil)
    }

    @Test("a cancelled waiter takes nothing and lets the next one in", .timeLimit(.minutes(1)))
    func cancellation() async throws {
        let admission = Admission(memory: ByteCount(1), slots: 1)
        #expect(await admission.acquire(ByteCount(1)))
        let waiter = Task { await admission.acquire(ByteCount(1)) }
        for await _ in admission.waits { break }
        #expect(admission.shortage == Admission.Shortage(memory: 1, slots: 1))
        waiter.cancel()
        #expect(await waiter.value == false)
        admission.release(ByteCount(1))
        #expect(await admission.acquire(ByteCount(1)))
    }

    @Test("the number of guests is bounded too")
    func slots() async {
        let admission = Admission(memory: ByteCount(100), slots: 1)
        #expect(await admission.acquire(ByteCount(1)))
        #expect(admission.obstacle(to: Claim(ByteCount(1))) == .slots)
        admission.release(ByteCount(1))
        #expect(admission.obstacle(to: Claim(ByteCount(1))) == nil)
    }
}

/// What the admitted hold together.
private final class Usage: Sendable {
    private let state = Mutex((now: UInt64(0), peak: UInt64(0), admitted: 0))

    func enter(_ cost: UInt64) {
        state.withLock {
            $0.now += cost
            $0.peak = max($0.peak, $0.now)
            $0.admitted += 1
        }
    }

    func leave(_ cost: UInt64) { state.withLock { $0.now -= cost } }

    var peak: UInt64 { state.withLock { $0.peak } }
    var admitted: Int { state.withLock { $0.admitted } }
}

import Glibc
import Testing

@testable import HostSystem

@Suite struct EventLoopCostTests {
    @Test("S19: the loop's wakeups leave nothing in memory")
    func wakeups() async throws {
        let loop = try EventLoop.shared
        func allocated() -> Int { Int(mallinfo2().uordblks) }
        for _ in 0..<1000 { await loop.run {} }
        let before = allocated()
        for _ in 0..<20_000 { await loop.run {} }
        // With 1.5 KiB for each they would be 30 MB.
        #expect(allocated() - before < 4 << 20)
    }
}

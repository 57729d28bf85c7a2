@testable import HostSystem
import LabTestSupport
import Synchronization
import Testing

@Suite("A semaphore for tasks", .timeLimit(.minutes(1)))
struct AsyncSemaphoreTests {
    @Test("lets in as many as there are places, and everybody in the end")
    func bound() async throws {
        let semaphore = AsyncSemaphore(3)
        let counts = Locked((now: 0, most: 0, all: 0))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<100 {
                group.addTask {
                    try await semaphore.withPlace {
                        counts.value.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1), $0.all + 1) }
                        await Task.yield()
                        counts.value.withLock { $0.now -= 1 }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(counts.value.withLock { $0 } == (0, counts.value.withLock { $0.most }, 100))
        #expect(counts.value.withLock { $0.most } <= 3)
        #expect(semaphore.isFree)
    }

    @Test("first come, first served, but for who is cancelled")
    func order() async throws {
        let semaphore = AsyncSemaphore()
        try await semaphore.acquire()
        let order = Locked<[Int]>([])
        var waiters: [Task<Void, any Error>] = []
        for number in 0..<5 {
            waiters.append(
                Task {
                    try await semaphore.withPlace { order.value.withLock { $0.append(number) } }
                })
            let count = number + 1
            #expect(try await eventually { semaphore.waiting == count })
        }
        waiters[1].cancel()
        await #expect(throws: CancellationError.self) { try await waiters[1].value }
        #expect(!semaphore.isFree)
        semaphore.release()
        for number in [0, 2, 3, 4] { try await waiters[number].value }
        #expect(order.value.withLock { $0 } == [0, 2, 3, 4])
        #expect(semaphore.isFree)
    }

    @Test("a cancelled task gets no place, also where one is free")
    func cancelled() async {
        let semaphore = AsyncSemaphore()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await semaphore.acquire()
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(semaphore.isFree)
    }

    @Test("throttled it gives out one place at a time; let go, all of them to those who wait")
    func throttle() async throws {
        let semaphore = AsyncSemaphore(3)
        try await semaphore.acquire()
        semaphore.throttle(true)
        #expect(!semaphore.isFree)
        let waiters = (0..<2).map { _ in Task { try await semaphore.acquire() } }
        #expect(try await eventually { semaphore.waiting == 2 })
        semaphore.throttle(false)
        for waiter in waiters { try await waiter.value }
        #expect(!semaphore.isFree)
        for _ in 0..<3 { semaphore.release() }
        #expect(semaphore.isFree)
    }
}

/// A value that tasks share.
private final class Locked<Value: Sendable>: Sendable {
    let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }
}

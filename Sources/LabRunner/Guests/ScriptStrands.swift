import Synchronization

/// The parts of a script that go on side by side, and those of them that wait for room for guests. When all do, nobody is left
/// who could make some.
public final class ScriptStrands: Sendable {
    private struct State {
        var active = 1
        var waiting = 0
    }

    private let state = Mutex(State())

    /// Runs `body`, which begins and ends strands of its own, in the place of one.
    public func replacing<Result>(_ body: () async throws -> Result) async rethrows -> Result {
        state.withLock { $0.active -= 1 }
        defer { state.withLock { $0.active += 1 } }
        return try await body()
    }

    /// Runs `body` as a strand.
    public func beside<Result>(_ body: () async throws -> Result) async rethrows -> Result {
        state.withLock { $0.active += 1 }
        defer { state.withLock { $0.active -= 1 } }
        return try await body()
    }

    /// Runs `body` in a strand that waits for room meanwhile; it is told whether any other strand goes on.
    func waiting<Result>(_ body: (_ isLast: Bool) async throws -> Result) async rethrows -> Result {
        let isLast = state.withLock { state in
            state.waiting += 1
            return state.waiting >= state.active
        }
        defer { state.withLock { $0.waiting -= 1 } }
        return try await body(isLast)
    }
}

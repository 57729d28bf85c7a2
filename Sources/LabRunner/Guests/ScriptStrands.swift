import Synchronization

/// Counts a script's concurrent strands, and those that wait for room for guests. When all wait, none is left to free any.
public final class ScriptStrands: Sendable {
    private struct State {
        var active = 1
        var waiting = 0
    }

    private let state = Mutex(State())

    /// Runs `body`, which starts and ends strands of its own, in place of one strand.
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

    /// Runs `body` in a strand that waits for room; `isLast` says that no other strand is running.
    func waiting<Result>(_ body: (_ isLast: Bool) async throws -> Result) async rethrows -> Result {
        let isLast = state.withLock { state in
            state.waiting += 1
            return state.waiting >= state.active
        }
        defer { state.withLock { $0.waiting -= 1 } }
        return try await body(isLast)
    }
}

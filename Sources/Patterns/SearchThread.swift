import HostSystem

extension Pattern {
    /// Runs searches of this pattern on their own thread until the deadline; returns when `body` has, which passes its stop to its
    /// searches or checks it.
    ///
    /// Throws `PatternFailure.tooSlow` at the deadline, `CancellationError` when the calling task is cancelled, `SystemCallError`
    /// when no thread can be created, and what `body` throws.
    public func withSearchThread<Result: Sendable>(
        deadline: ContinuousClock.Instant, _ body: @escaping @Sendable (SearchStop) throws -> Result
    ) async throws -> Result {
        do {
            return try await withDeadline(deadline) {
                let stop = SearchStop()
                do {
                    return try await withTaskCancellationHandler {
                        try await HostThread.run("vmlab-pattern") { _ in try body(stop) }
                    } onCancel: {
                        stop.stop()
                    }
                } catch PatternFailure.stopped {
                    throw CancellationError()
                }
            }
        } catch is DeadlineExceeded {
            throw PatternFailure.tooSlow(pattern: text)
        }
    }

    /// Searches a text of valid UTF-8 from a place, which is not within a character. Throws as `withSearchThread`.
    public func search(
        _ text: [UInt8], from start: Int = 0, ending: Ending = .final, deadline: ContinuousClock.Instant
    ) async throws -> Finding {
        // Most searches take less time than the creation of a thread.
        if text.count <= 4096 {
            do {
                return try text.withUnsafeBytes { try quickSearch($0, from: start, ending: ending) }
            } catch is PatternFailure {}
        }
        return try await withSearchThread(deadline: deadline) { stop in
            try text.withUnsafeBytes { try search($0, from: start, ending: ending, stop: stop) }
        }
    }

    /// Whether the pattern matches somewhere in a text. Throws as `withSearchThread`.
    public func matches(somewhereIn text: String, deadline: ContinuousClock.Instant) async throws -> Bool {
        if case .match = try await search(Array(text.utf8), deadline: deadline) { true } else { false }
    }
}

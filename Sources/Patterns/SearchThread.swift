import HostSystem

extension Pattern {
    /// Runs searches of this pattern on a thread of their own, until the deadline.
    ///
    /// Throws `PatternFailure.tooSlow` at the deadline, `CancellationError` when the calling task is cancelled, a
    /// `SystemCallError` when there is no thread to be had, and what `body` throws. Returns when `body` has: it hands its stop to
    /// its searches, or looks at it.
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

    /// Searches a text from a place, which is no place within a character; the text is valid UTF-8. Throws as `withSearchThread`.
    public func search(
        _ text: [UInt8], from start: Int = 0, ending: Ending = .final, deadline: ContinuousClock.Instant
    ) async throws -> Finding {
        // Most searches are done sooner than a thread is made.
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

import Diagnostics
import Glibc
import HostSystem
import LabResults
import Synchronization

/// What the signals that ask a command to end do to it.
enum Interruption {
    /// A signal that comes so soon after the first is the same request: `timeout` signals its child and then the group that the
    /// child is in, and a terminal may send both Ctrl-C and a hang-up.
    private static let sameRequest = Duration.seconds(1)

    /// Runs `body` to its end. The first signal sets the interruption that `body` is given: it is to end in order. A later one
    /// ends the process at once, and so does `limit` when `body` has not ended so long after the first.
    static func handling<Result: Sendable>(
        within limit: Duration, _ body: (Completion<Bool>) async throws -> Result
    ) async throws -> Result {
        let interruption = Completion<Bool>()
        let first = Mutex<ContinuousClock.Instant?>(nil)
        // On the event loop's thread: no work of this process, however busy it is, can keep a signal from being heard.
        let signals = try SignalWatcher.watch { _ in
            let sinceFirst = first.withLock { first -> Duration? in
                defer { first = first ?? .now }
                return first.map { .now - $0 }
            }
            guard let sinceFirst else {
                interruption.fulfil(true)
                return watch(limit)
            }
            // Guests die with this process: that is their parent-death signal.
            if sinceFirst >= sameRequest { Report.end(.interrupted) }
        }
        defer { signals.end() }
        return try await body(interruption)
    }

    /// Ends the process when the time is over.
    private static func watch(_ limit: Duration) {
        let milliseconds = Int32(clamping: Int64(limit / .milliseconds(1)))
        // Without a thread for it the next signal still ends the process.
        _ = try? HostThread("vmlab-limit") {
            poll(nil, 0, milliseconds)
            Report.error("vmlab did not end in order within \(limit) after it was interrupted, and ends now")
            Report.end(.interrupted)
        }
    }
}

import Glibc
import HostSystem
import HostResources
import Synchronization

/// What the signals that ask a command to end do to it.
enum Interruption {
    /// How long what is cancelled may take to tear everything down.
    private static let teardown = Duration.seconds(10)

    // A signal that comes before there is anything to end in order ends the process, with the same status.
    private static let whole = Result { () throws(SystemCallError) in
        try SignalWatcher.watch { _ in Output.end(.interrupted) }
    }

    /// Handles signals from now on, for the whole life of the process.
    static func begin() { _ = whole }

    /// Runs `body` to its end. The first signal sets the interruption that `body` is given: it is to end in order, within
    /// `limit`. The second one cancels it: it is to end at once. Where it does neither in time, or is signalled once more, the
    /// process ends as it is.
    static func handling<Result: Sendable>(
        within limit: Duration, _ body: @escaping @Sendable (Completion<Void>) async throws -> Result
    ) async throws -> Result {
        let interruption = Completion<Void>()
        let work = Task { try await body(interruption) }
        let requests = Mutex(EndRequests())
        // On the event loop's thread: no work of this process, however busy it is, can keep a signal from being received.
        let signals = try SignalWatcher.watch { _ in
            switch requests.withLock({ $0.receive(at: .now) }) {
            case .repeated: break
            case .inOrder:
                interruption.fulfil()
                endProcess(after: limit)
            case .atOnce:
                work.cancel()
                endProcess(after: teardown)
            case .asItIs: Output.end(.interrupted)
            }
        }
        defer { signals.end() }
        return try await work.value
    }

    /// Ends the process when the time is over. Guests die with it: that is their parent-death signal.
    private static func endProcess(after limit: Duration) {
        let milliseconds = Int32(clamping: Int64(limit / .milliseconds(1)))
        // Without a thread for it the next signal still ends the process.
        _ = try? HostThread("vmlab-limit") {
            poll(nil, 0, milliseconds)
            RunJournal.removeFolders()
            // What keeps the run from ending may be that nobody reads what it says.
            var terminal = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
            if poll(&terminal, 1, 0) == 1 {
                Output.error(
                    "vmlab did not end within \(limit) of being interrupted, and exits without further cleanup")
            }
            Output.end(.interrupted)
        }
    }
}

/// The signals that ask a run to end, as they come.
struct EndRequests: Sendable {
    /// What a signal asks for.
    enum Request: Sendable, Equatable {
        /// What the one before it asked for.
        case repeated
        /// That the run cleans up and ends.
        case inOrder
        /// That it tears everything down.
        case atOnce
        /// That the process ends.
        case asItIs
    }

    /// A signal that comes so soon after another is the same request: `timeout` signals its child and then the group that the
    /// child is in, and a terminal may send both Ctrl-C and a hang-up.
    private static let sameRequest = Duration.seconds(1)

    private var last: ContinuousClock.Instant?
    private var count = 0

    /// Takes a signal in.
    mutating func receive(at now: ContinuousClock.Instant) -> Request {
        if let last, now - last < Self.sameRequest { return .repeated }
        last = now
        count += 1
        return count == 1 ? .inOrder : count == 2 ? .atOnce : .asItIs
    }
}

import HostSystem
import LabResults
import Synchronization

/// Keeps a run's events.
public final class RecordingSink: RunSink {
    /// Where the run's files are.
    public let results: RunDirectory?
    private let onLine: @Sendable (String) -> Void

    /// A sink that has kept nothing.
    public init(results: RunDirectory? = nil, onLine: @escaping @Sendable (String) -> Void = { _ in }) {
        (self.results, self.onLine) = (results, onLine)
    }

    /// Hands the line on.
    public func show(_ line: String, of guest: String) { onLine(line) }

    private let state = Mutex<(events: [RecordedEvent], watchers: [Watcher])>(([], []))

    private struct Watcher {
        let wanted: @Sendable (RunEvent) -> Bool
        let seen: Completion<Void>
    }

    /// Keeps the event.
    public func receive(_ recorded: RecordedEvent) {
        let seen = state.withLock { state in
            state.events.append(recorded)
            return state.watchers.filter { $0.wanted(recorded.event) }.map(\.seen)
        }
        for completion in seen { completion.fulfil() }
    }

    /// All events, in order.
    public var events: [RunEvent] { state.withLock { $0.events.map(\.event) } }

    /// Returns once an event that satisfies `wanted` has come.
    public func wait(for wanted: @escaping @Sendable (RunEvent) -> Bool) async throws {
        let completion = Completion<Void>()
        let already = state.withLock { state in
            state.watchers.append(Watcher(wanted: wanted, seen: completion))
            return state.events.contains { wanted($0.event) }
        }
        if already { return }
        try await completion.wait()
    }

    /// Returns once a run of the task has started.
    public func waitForStart(of task: String, index: Int = 1) async throws {
        try await wait {
            if case .taskStarted(let id, _) = $0 { id.task == task && id.index == index } else { false }
        }
    }

    /// Returns once the guest is ready.
    public func waitForReady(_ name: String) async throws {
        try await wait { if case .guestReady(let guest, _) = $0 { guest == name } else { false } }
    }
}

import HostSystem
import Synchronization

/// Numbers and time-stamps all events of a run and passes them to the sinks in order. It keeps no events.
public final class RunRecorder: Sendable {
    /// The run's clock.
    public let clock: RunClock
    private let sinks: [any RunSink]
    private let state = Mutex(State())

    private struct State {
        var sequence = 0
        var finished = false
    }

    /// A recorder for one run.
    public init(sinks: [any RunSink], clock: RunClock = RunClock()) {
        self.sinks = sinks
        self.clock = clock
    }

    /// Records an event that happens now. Any thread may call it; it returns when every sink has taken it. A sink must not call
    /// back. Events after `finish` are dropped.
    public func emit(_ event: RunEvent) {
        // The sinks are called inside the lock: that is what makes "in order" and "never by two threads at once" true.
        state.withLock { state in
            guard !state.finished else { return }
            state.sequence += 1
            let recorded = RecordedEvent(
                sequence: state.sequence, elapsed: clock.elapsed, time: clock.wall, event: event)
            for sink in sinks { sink.receive(recorded) }
        }
    }

    /// Shows the last line that a command on the guest has printed so far. It is not recorded, and never waits for a busy sink.
    public func show(_ line: String, of guest: String) {
        for sink in sinks { sink.show(line, of: guest) }
    }

    /// Flushes every sink. A second call does nothing.
    public func finish() {
        state.withLock { state in
            guard !state.finished else { return }
            state.finished = true
            for sink in sinks { sink.finish() }
        }
    }

    /// As `finish`, which may take long, on its own thread.
    public func finished() async {
        // Without a thread for it, the caller's is used.
        if (try? await HostThread.run("vmlab-finish") { _ in self.finish() }) == nil { finish() }
    }

    /// The sinks' errors, as text.
    public var problems: [String] { sinks.flatMap(\.problems) }
}

import HostSystem
import Synchronization

/// The one place that events of a run go through: it numbers and time-stamps them and hands them to the sinks in order.
/// It keeps no events.
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

    /// Shows the last line that a command on the guest has printed so far, to who watches. It is not recorded, and never waits
    /// for a sink that is busy with events.
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

    /// The same, which may take long, on a thread of its own.
    public func finished() async {
        // Without a thread for it the caller's has to do.
        if (try? await HostThread.run("vmlab-finish") { _ in self.finish() }) == nil { finish() }
    }

    /// What the sinks could not do, in words.
    public var problems: [String] { sinks.flatMap(\.problems) }
}

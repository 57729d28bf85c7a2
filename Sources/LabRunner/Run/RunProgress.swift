import LabResults
import LabSpec
import Synchronization

/// The progress of tasks and guests: recorded as events, and counted for the exit status.
final class RunProgress: Sendable {
    private struct State {
        var counts: [Outcome: Int] = [:]
        var guestFailed = false
        var deadlinePassed = false
    }

    let plan: RunPlan
    let recorder: RunRecorder
    private let state = Mutex(State())

    init(_ plan: RunPlan, _ recorder: RunRecorder) {
        self.plan = plan
        self.recorder = recorder
    }

    func finished(_ result: TaskResult) {
        state.withLock { $0.counts[result.outcome, default: 0] += 1 }
        recorder.emit(.taskFinished(result))
    }

    /// A run of a task will never start, or will not be retried.
    func abandoned(_ gone: Schedule.Abandoned) {
        let task = plan.lab.tasks[gone.run.task]
        let guest = gone.run.pinned.map { plan.guests[$0].guest.name }
        var result = TaskResult(
            TaskID(task: task.name, guest: guest, index: gone.run.index, repetitions: task.repetitions), gone.outcome,
            started: recorder.clock.elapsed, attempts: gone.run.attempt - 1,
            message: gone.reason)
        if let last = gone.run.before?.results.last {
            result = last
            result.message = gone.reason
            result.earlier = gone.run.before?.results.dropLast() ?? []
        }
        finished(result)
    }

    /// A guest is parked, or ended early.
    func parked(_ guest: Int, isPressing: Bool) {
        let reason = isPressing ? "the host is short of memory" : "guests that it waits for need its room"
        recorder.emit(.guestParked(guest: plan.guests[guest].guest.name, reason: reason))
    }

    func guestFailed() { state.withLock { $0.guestFailed = true } }

    func deadlinePassed() { state.withLock { $0.deadlinePassed = true } }

    /// The number of task runs by outcome.
    var counts: [String: Int] {
        state.withLock { Dictionary(uniqueKeysWithValues: $0.counts.map { ($0.key.rawValue, $0.value) }) }
    }

    var status: ExitStatus {
        state.withLock { state in
            var outcomes = Array(state.counts.keys)
            if state.guestFailed { outcomes.append(.error) }
            if state.deadlinePassed { outcomes.append(.timeout) }
            return ExitStatus.gravest(of: outcomes)
        }
    }
}

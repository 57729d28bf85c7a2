import HostSystem
import LabResults
import LabSpec
import Synchronization

extension LabRun {
    /// What the parts of a run share.
    struct Context: Sendable {
        let plan: RunPlan
        let host: GuestHost
        let timeFactor: Double
        let scheduler: Scheduler
        let admission: Admission
        /// Bounds how many guests boot at the same time.
        let boots: AsyncSemaphore
        let tasks: TaskRunner
        let recorder: RunRecorder
        let tally: Tally
        let stopOnFailure: Bool
        /// Set once the run is to end early.
        let isEnding = Completion<Void>()

        /// Records the end of one run of a task. No further run starts after a failure that stops the lab.
        func finished(_ result: TaskResult) async {
            tally.count(result.outcome)
            recorder.emit(.taskFinished(result))
            if !result.outcome.isSuccess { await stopIfWanted() }
        }

        /// A guest could not be used: infrastructure failed even if it cost no task.
        func guestFailed() async {
            tally.guestFailed()
            await stopIfWanted()
        }

        /// The run ends early: nothing more starts but what cleans up, and what runs is cut short. False when it was ending
        /// already.
        func end(_ cause: EarlyEnd.Cause) async -> Bool {
            guard isEnding.fulfil() else { return false }
            let end = EarlyEnd(cause, grace: plan.lab.timeouts.grace * timeFactor)
            if cause == .deadline { tally.deadlinePassed() }
            recorder.emit(.interrupted(reason: end.reason))
            if plan.lab.tasks.contains(where: { $0.condition == .always || !$0.get.isEmpty }) {
                let message = graceNote(
                    "running cleanup tasks and collecting files", end.grace, isFirst: cause == .deadline)
                recorder.emit(.note(level: .info, message: message))
            }
            // First: what is cut short makes its guest ask for more.
            await scheduler.stop(reason: end.reason, cleaningUp: true)
            tasks.ending.fulfil(end)
            return true
        }

        private func stopIfWanted() async {
            if stopOnFailure { await scheduler.stop(reason: "an earlier task failed", cleaningUp: true) }
        }
    }

    /// Counts outcomes as they come.
    final class Tally: Sendable {
        private struct State {
            var counts: [Outcome: Int] = [:]
            var guestFailed = false
            var deadlinePassed = false
        }

        private let state = Mutex(State())

        func count(_ outcome: Outcome) { state.withLock { $0.counts[outcome, default: 0] += 1 } }
        func guestFailed() { state.withLock { $0.guestFailed = true } }
        func deadlinePassed() { state.withLock { $0.deadlinePassed = true } }

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
}

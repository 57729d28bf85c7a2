import GuestControl
import HostResources
import HostSystem
import LabResults
import LabSpec

extension LabRun {
    /// The shared parts of a run.
    struct Context: Sendable {
        let fleet: Fleet
        let timeFactor: Double
        let scheduler: Scheduler
        let tasks: TaskRunner
        let progress: RunProgress
        let stopOnFailure: Bool
        var plan: RunPlan { progress.plan }
        var recorder: RunRecorder { progress.recorder }
        /// Set once the run is to end early.
        let isEnding = Completion<Void>()

        /// Records the end of a task's run. A failure that stops the lab starts no further runs.
        func finished(_ result: TaskResult) async {
            progress.finished(result)
            if !result.outcome.isSuccess { await stopIfWanted() }
        }

        /// Records that a guest was unusable: an infrastructure failure, even without an affected task.
        func guestFailed() async {
            progress.guestFailed()
            await stopIfWanted()
        }

        /// Ends the run early: starts only cleanup tasks and interrupts running ones. False when it was already ending.
        func end(_ cause: EarlyEnd.Cause) async -> Bool {
            guard isEnding.fulfil() else { return false }
            let end = EarlyEnd(cause, grace: plan.lab.timeouts.grace * timeFactor)
            if cause == .deadline { progress.deadlinePassed() }
            recorder.emit(.interrupted(reason: end.reason))
            if plan.lab.tasks.contains(where: { $0.condition == .always || !$0.get.isEmpty }) {
                let message = graceNote(
                    "running cleanup tasks and collecting files", end.grace, isFirst: cause == .deadline)
                recorder.emit(.note(level: .info, message: message))
            }
            // First, because an interrupted run makes its guest ask for more work.
            await scheduler.stop(reason: end.reason, cleaningUp: true)
            tasks.ending.fulfil(end)
            return true
        }

        private func stopIfWanted() async {
            if stopOnFailure { await scheduler.stop(reason: "an earlier task failed", cleaningUp: true) }
        }
    }
}

import GuestControl
import HostResources
import HostSystem
import LabResults
import LabSpec

extension LabRun {
    /// What the parts of a run share.
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

        /// Records the end of one run of a task. No further run starts after a failure that stops the lab.
        func finished(_ result: TaskResult) async {
            progress.finished(result)
            if !result.outcome.isSuccess { await stopIfWanted() }
        }

        /// A guest could not be used: infrastructure failed even if it cost no task.
        func guestFailed() async {
            progress.guestFailed()
            await stopIfWanted()
        }

        /// The run ends early: nothing more starts but what cleans up, and what runs is cut short. False when it was ending
        /// already.
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
            // First: what is cut short makes its guest ask for more.
            await scheduler.stop(reason: end.reason, cleaningUp: true)
            tasks.ending.fulfil(end)
            return true
        }

        private func stopIfWanted() async {
            if stopOnFailure { await scheduler.stop(reason: "an earlier task failed", cleaningUp: true) }
        }
    }
}

extension RunRecorder {
    /// Records a run that was not begun although nothing is wrong with it, up to and including `runFinished`: its tasks are
    /// skipped for the reason given. Returns the run's status, `interrupted`.
    @discardableResult
    public func skip(_ tasks: [TaskID], because reason: String) -> ExitStatus {
        emit(.interrupted(reason: reason))
        return abandon(tasks, .skipped, .interrupted, because: reason)
    }

    /// Records the end of a run that did not begin: every task has `outcome`, the run `status`, which is returned.
    public func abandon(
        _ tasks: [TaskID], _ outcome: Outcome, _ status: ExitStatus, because reason: String
    ) -> ExitStatus {
        for id in tasks {
            emit(
                .taskFinished(
                    TaskResult(id: id, outcome: outcome, started: clock.elapsed, attempts: 0, message: reason)))
        }
        emit(.runFinished(RunSummary(status: status, duration: clock.elapsed, counts: [outcome.rawValue: tasks.count])))
        return status
    }
}

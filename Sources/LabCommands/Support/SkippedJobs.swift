import LabResults

/// Runs of a command that were not begun. Their results say so, with every task that is known of them.
struct SkippedJobs {
    /// So many are named; a matrix may have thousands.
    private static let named = 10

    private var names: [String] = []
    private var reason = ""

    /// Writes the results of one.
    mutating func add(_ job: RunJob, _ reason: String, in directory: RunDirectory, _ selection: SinkSelection) {
        names.append(job.description.file + (job.cell.map { " [\($0)]" } ?? ""))
        self.reason = reason
        let shown = selection.mode == .json ? [selection.progressSink(directory: directory.path)] : []
        let recorder = RunRecorder(sinks: shown + SinkSelection.fileSinks(directory))
        recorder.emit(.runStarted(job.description))
        recorder.skip(job.description.tasks, because: reason)
        recorder.finish()
    }

    /// Says which they were, if there are any.
    func tell() {
        guard !names.isEmpty else { return }
        let others = names.count > Self.named ? " and \(names.count - Self.named) others" : ""
        Report.error("not run: \(names.prefix(Self.named).joined(separator: ", "))\(others) (\(reason))")
    }
}

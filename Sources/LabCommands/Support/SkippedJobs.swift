import LabResults

/// Runs of a command that were not begun. Their results say so, with every task that is known of them.
struct SkippedJobs {
    /// So many are named; a matrix may have thousands.
    private static let named = 10

    private var names: [String] = []
    private var reason = ""

    /// Writes the results of one, and shows it if there is a sink for that.
    mutating func add(
        _ job: RunJob, _ reason: String, in directory: RunDirectory, showing sink: (any RunSink)?
    ) async throws {
        names.append(job.description.file + (job.cell.map { " [\($0)]" } ?? ""))
        self.reason = reason
        let recorder = RunRecorder(sinks: [sink].compactMap { $0 } + (try SinkSelection.fileSinks(directory)))
        recorder.emit(.runStarted(job.description))
        recorder.skip(job.description.tasks, because: reason)
        await recorder.finished()
    }

    /// Says which they were, if there are any.
    func tell() {
        guard !names.isEmpty else { return }
        let others = names.count > Self.named ? " and \(names.count - Self.named) others" : ""
        Output.error("not run: \(names.prefix(Self.named).joined(separator: ", "))\(others) (\(reason))")
    }
}

import FoundationEssentials

/// Reads `events.jsonl` back: what is left of a run that was killed.
enum EventLog {
    /// The report of the run whose events lie in this file. Lines that make no sense, such as a torn last one, are skipped.
    /// Nil when there is no such file, or not the beginning of a run.
    static func report(_ path: String) -> RunReport? {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else { return nil }
        var builder = RunReportBuilder()
        var hasBegun = false
        for line in data.split(separator: UInt8(ascii: "\n")) {
            guard let recorded = try? RecordedEvent(line: line) else { continue }
            if case .runStarted = recorded.event { hasBegun = true }
            builder.receive(recorded)
        }
        guard hasBegun else { return nil }
        var report = builder.report
        if report.exitStatus == nil, report.interrupted == nil {
            report.interrupted = "the run was killed: this report is made from its events"
            report.status = ExitStatus.interrupted.word
        }
        return report
    }
}

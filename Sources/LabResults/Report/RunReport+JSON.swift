import Diagnostics
import Glibc
import HostSystem
import JSON

extension RunReport: JSONRecord {
    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try members("format", &format)
        try members("version", &version)
        try members("lab", &lab)
        try members("cell", &cell)
        try members("file", &file)
        try members("host", &host)
        try members("started", &started)
        try members("duration", &duration)
        try members("status", &status)
        try members("exitStatus", &exitStatus)
        try members("interrupted", &interrupted)
        try members("counts", &counts)
        try members("admission", &admission)
        try members("guests", &guests)
        try members("tasks", &tasks)
        try members("warnings", &warnings)
    }

    /// The report as `results.json` holds it: indented, keys sorted, ending in a line end.
    public var text: [UInt8] {
        var (head, bytes) = (self, [] as [UInt8])
        head.tasks = []
        head.writeJSON(tasks) { bytes += $0 }
        return bytes
    }

    /// The report's JSON with these tasks one by one instead of its own.
    func writeJSON(_ tasks: some Sequence<TaskResult>, to put: ([UInt8]) -> Void) {
        let whole = json.indented()
        // No string within has bare quotation marks, and no other list has this name.
        let parts = whole.split(separator: "\"tasks\" : [\n\n  ]", maxSplits: 1, omittingEmptySubsequences: false)
        put(Array("\(parts.first ?? "")\"tasks\" : [".utf8))
        var isFirst = true
        for task in tasks {
            let text = task.json.indented(by: 4)
            put(Array("\(isFirst ? "" : ",")\n    \(text)".utf8))
            isFirst = false
        }
        put(Array("\(isFirst ? "\n" : "")\n  ]\(parts.last ?? "")\n".utf8))
    }
}

extension GuestReport: JSONRecord {
    init() { self.init(guest: GuestDescription()) }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try guest.visit(&members)
        try members("boot", &boot)
        try members("bootSeconds", &bootSeconds)
        try members("end", &end)
        try members("reason", &reason)
        try members("outcome", &outcome)
        try members("consoleTail", &consoleTail)
        try members("console", &console)
        try members("replacements", &replacements)
    }
}

/// Reads results back.
public enum ResultsFile {
    /// The report of the run in a results directory. Throws when there is none that this version reads; failed tasks are no error.
    /// For a killed run without a results file, the report is made from its events.
    public static func load(_ directory: String) throws(Diagnostic) -> RunReport {
        let path = "\(directory)/\(RunDirectory.results)"
        let bytes: [UInt8]
        do {
            bytes = try SmallFile.bytes(path, limit: .max)
        } catch {
            if error.errno == ENOENT, let report = reportOfEvents("\(directory)/\(RunDirectory.events)") {
                return report
            }
            throw Diagnostic(
                .specification, "\(directory) holds no results",
                remedy: "name a directory that `vmlab run` has written",
                cause: error.errno == ENOENT ? "there is no \(path)" : "cannot read \(path)")
        }
        do {
            let members = try JSONValue(parsing: bytes).objectValue ?? [:]
            if try members.value("format") == RunReport().format { return try RunReport(members) }
        } catch {
            throw Diagnostic(
                .specification, "\(path) is not a results file", remedy: "run the lab again", cause: "\(error)")
        }
        throw Diagnostic(
            .specification, "\(path) was written by another version of vmlab",
            remedy: "read it with the version that wrote it, or run the lab again")
    }

    /// The report from a run's events in this file; malformed lines, such as a torn last one, are skipped. Nil when there is no
    /// such file, or it does not start with a run's beginning.
    private static func reportOfEvents(_ path: String) -> RunReport? {
        guard let bytes = try? SmallFile.bytes(path, limit: .max) else { return nil }
        var builder = RunReportBuilder()
        var hasBegun = false
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
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

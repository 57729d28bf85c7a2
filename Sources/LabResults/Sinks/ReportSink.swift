import Diagnostics
import HostSystem
import Synchronization

/// Keeps a run's report and writes `results.json` and `junit.xml`, each atomically, at the end and at an interruption.
public final class ReportSink: RunSink {
    /// One file made from the report.
    public enum File: Sendable {
        /// The whole run for programs, at this path.
        case resultsJSON(String)
        /// The run for CI systems.
        case junit(String)

        var path: String {
            switch self {
            case .resultsJSON(let path), .junit(let path): path
            }
        }

        /// Writes the report so far, a task at a time. Throws why it cannot be written.
        func write(_ builder: borrowing RunReportBuilder) throws(Diagnostic) {
            let head = builder.head
            try FileWriter.replace(path) { put in
                switch self {
                case .resultsJSON: head.writeJSON(builder.tasks, to: put)
                case .junit: JUnitReport.write(head, builder.tasks) { put(Array($0.utf8)) }
                }
            }
        }
    }

    private let files: [File]
    private let state: Mutex<State>

    private struct State {
        var builder: RunReportBuilder
        var isWritten = false
        var problems: [String] = []
    }

    /// A sink that writes these files.
    public init(_ files: [File]) {
        self.files = files
        state = Mutex(State(builder: RunReportBuilder(spoolingIn: files.first.map { FilePath.folder(of: $0.path) })))
    }

    /// Takes in the event.
    public func receive(_ recorded: RecordedEvent) {
        state.withLock { state in
            state.builder.receive(recorded)
            state.isWritten = false
            switch recorded.event {
            case .interrupted, .runFinished: write(&state)
            default: break
            }
        }
    }

    /// Writes the files, if anything happened since they were last written.
    public func finish() {
        state.withLock { if !$0.isWritten { write(&$0) } }
    }

    /// Files that could not be written.
    public var problems: [String] { state.withLock { $0.problems } }

    /// The report as far as the run has come.
    public var report: RunReport { state.withLock { $0.builder.report } }

    private func write(_ state: inout State) {
        state.isWritten = true
        // What failed at an interruption may succeed at the end.
        state.problems = []
        for file in files {
            do throws(Diagnostic) {
                try file.write(state.builder)
            } catch {
                state.problems.append(error.lineWithRemedy)
            }
        }
    }
}

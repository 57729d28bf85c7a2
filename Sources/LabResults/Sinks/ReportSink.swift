import Diagnostics
import Synchronization

/// Keeps the report of a run and writes it as files: `results.json`, `junit.xml`. They are written when the run ends and
/// already when it is interrupted, each in one step, so that no reader sees half a file.
public final class ReportSink: RunSink {
    /// One file made from the report.
    public struct File: Sendable {
        let path: String
        let render: @Sendable (RunReport) throws(Diagnostic) -> [UInt8]

        /// A file at the path with what `render` makes of the report.
        public init(path: String, render: @escaping @Sendable (RunReport) throws(Diagnostic) -> [UInt8]) {
            self.path = path
            self.render = render
        }

        /// The whole run for programs.
        public static func resultsJSON(_ path: String) -> File {
            File(path: path) { report throws(Diagnostic) in try report.json() }
        }

        /// The run for CI systems.
        public static func junit(_ path: String) -> File {
            File(path: path) { report throws(Diagnostic) in Array(JUnitReport.xml(report).utf8) }
        }
    }

    private let files: [File]
    private let state = Mutex(State())

    private struct State {
        var builder = RunReportBuilder()
        var isWritten = false
        var problems: [String] = []
    }

    /// A sink that writes these files.
    public init(_ files: [File]) {
        self.files = files
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
        let report = state.builder.report
        state.isWritten = true
        // What failed at an interruption may succeed at the end.
        state.problems = []
        for file in files {
            do throws(Diagnostic) {
                if let failure = System.replace(file.path, with: try file.render(report)) { throw failure }
            } catch {
                state.problems.append(error.sentence)
            }
        }
    }
}

import Diagnostics
import Glibc
import HostSystem
import LabResults
import Logging

/// What a verb says to people: errors to standard error, answers to standard output.
enum Output {
    /// Prints diagnostics, most with their source line and caret, and how many errors there are.
    static func errors(_ list: DiagnosticList) {
        let style = SinkSelection(environment: Environment.all, isTerminal: isatty(2) == 1).style
        error(list.rendered(color: style.colour))
        let count = list.sorted.count { $0.severity == .error }
        if count > 1 { error("\(count) errors") }
    }

    static func warnings(_ warnings: [Diagnostic]) {
        if !warnings.isEmpty { errors(DiagnosticList(warnings)) }
    }

    /// Whole lines to standard output.
    static func text(_ text: String) { output.write(text) }

    private static let output = TextStream.standardOutput

    /// A line to standard output.
    static func line(_ text: String) { self.text(text + "\n") }

    /// A line to standard error.
    static func error(_ text: String) { TextStream(descriptor: 2).write(text + "\n") }

    /// Ends the process. An answer that could not be written is no success; a reader that went away is none of our business.
    static func end(_ status: ExitStatus) -> Never {
        Logger(label: "vmlab.commands").debug("vmlab ends", metadata: ["status": "\(status.rawValue)"])
        Log.finish()
        let problems = output.problems
        for problem in problems { errors(DiagnosticList([Diagnostic(.host, problem)])) }
        exit((problems.isEmpty || status != .passed ? status : .infrastructure).rawValue)
    }

    /// Rows under headings, columns aligned; the last column is not padded.
    static func table(_ headings: [String], _ rows: [[String]]) {
        let all = [headings] + rows
        let widths = headings.indices.map { column in all.map { displayWidth($0[column]) }.max() ?? 0 }
        for row in all {
            let cells = zip(row.dropLast(), widths).map(padEnd) + row.suffix(1)
            line(cells.joined(separator: "  "))
        }
    }
}

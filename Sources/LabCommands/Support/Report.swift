import Diagnostics
import Glibc
import HostSystem
import LabResults

/// What a verb says to people: errors to standard error, answers to standard output.
enum Report {
    /// Prints diagnostics, most with their source line and caret, and how many errors there are.
    static func errors(_ list: DiagnosticList) {
        let style = SinkSelection(environment: Environment.all, isTerminal: isatty(2) == 1).style
        fputs(list.rendered(color: style.colour) + "\n", stderr)
        let count = list.all.count { $0.severity == .error }
        if count > 1 { fputs("\(count) errors\n", stderr) }
    }

    /// Prints warnings, if there are any.
    static func warnings(_ warnings: [Diagnostic]) {
        if !warnings.isEmpty { errors(DiagnosticList(warnings)) }
    }

    /// One line to standard output.
    static func line(_ text: String) { print(text) }

    /// Rows under headings, columns aligned; the last column is not padded.
    static func table(_ headings: [String], _ rows: [[String]]) {
        let all = [headings] + rows
        let widths = headings.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        for row in all {
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            print(cells.joined(separator: "  "))
        }
    }
}

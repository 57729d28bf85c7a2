import ArgumentParser
import HostSystem
import LabResults

struct ReportVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Show the results of a finished run again.",
        discussion: """
              vmlab report results/latest
              vmlab report results/latest --format junit > junit.xml

            The exit status is that of the run.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case terminal, junit
    }

    @Argument(help: "The results directory of the run, or of one cell of its matrix.", completion: .directory)
    var directory: String

    @Option(help: "The output format.")
    var format: Format = .terminal

    func run() throws {
        let report = try ResultsFile.load(directory)
        switch format {
        case .terminal:
            let style = SinkSelection(environment: Environment.all).style
            Output.text(report.summary(style: style, directory: directory))
        case .junit:
            Output.text(JUnitReport.xml(report))
        }
        throw report.exitStatus.flatMap(ExitStatus.init(rawValue:)) ?? .interrupted
    }
}

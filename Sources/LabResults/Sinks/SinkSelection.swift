import Glibc
import HostSystem

/// Chooses how a run is shown: by what the user asked for and by where standard output goes.
public struct SinkSelection: Sendable, Hashable {
    /// The ways to show a run.
    public enum Mode: Sendable, Hashable {
        /// Live lines at a terminal.
        case terminal
        /// Plain lines.
        case plain
        /// Only failures and the last word.
        case quiet
        /// Events as JSON lines.
        case json
    }

    /// How to show it.
    public var mode: Mode
    /// How the text may look.
    public var style: TextStyle

    /// The choice: `--json` over `--quiet` over live lines, which need a terminal that is neither `TERM=dumb` nor a CI system's,
    /// and without other writers, such as a log. `NO_COLOR` disables colours, a locale without UTF-8 non-ASCII characters.
    public init(
        quiet: Bool = false, json: Bool = false, environment: [String: String], isTerminal: Bool = isatty(1) == 1,
        isShared: Bool = false
    ) {
        func isSet(_ name: String) -> Bool {
            guard let value = environment[name] else { return false }
            return !value.isEmpty && value != "0" && value.lowercased() != "false"
        }
        let term = environment["TERM"] ?? ""
        let canMove = isTerminal && term != "dumb" && !term.isEmpty
        mode = json ? .json : quiet ? .quiet : canMove && !isSet("CI") && !isShared ? .terminal : .plain
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        let charset = locale.lowercased()
        // https://no-color.org: any value but the empty one counts.
        let noColour = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        style = TextStyle(colour: canMove && !noColour, unicode: charset.contains("utf-8") || charset.contains("utf8"))
    }

    /// The sink that shows the run on standard output; `directory` is the results' path for the user. At the run's end a blocked
    /// output is abandoned after `patience`. Throws when no thread can be created.
    public func progressSink(
        directory: String?, patience: @escaping @Sendable () -> Duration
    ) throws(SystemCallError) -> any RunSink {
        let stream = TextStream.standardOutput
        let sink: any RunSink =
            switch mode {
            case .terminal: TerminalSink(stream, style: style, directory: directory)
            case .plain, .quiet: PlainSink(stream, style: style, directory: directory, isQuiet: mode == .quiet)
            case .json: JSONLinesSink(stream)
            }
        return try QueuedSink(sink, name: "standard output", patience: patience)
    }

    /// How long a blocked disk is waited for at the end of a run.
    private static let diskPatience = Duration.seconds(60)

    /// The sinks that write a results directory's files. Throws when no threads can be created.
    public static func fileSinks(_ directory: RunDirectory) throws(SystemCallError) -> [any RunSink] {
        let (events, results) = (directory.absolute(RunDirectory.events), directory.absolute(RunDirectory.results))
        let report = ReportSink([.resultsJSON(results), .junit(directory.absolute(RunDirectory.junit))])
        return [
            try QueuedSink(JSONLinesSink(TextStream(path: events)), name: events) { diskPatience },
            try QueuedSink(report, name: results) { diskPatience },
        ]
    }
}

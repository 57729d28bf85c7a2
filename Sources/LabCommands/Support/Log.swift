import ArgumentParser
import Glibc
import HostSystem
import LabLogging
import LabResults
import Logging
import Synchronization

struct LogOptions: ParsableArguments {
    @Option(
        name: .customLong("log-level"),
        help: ArgumentHelp(
            "Log to standard error: a level (debug, trace, ...) and label=level, separated by commas. Replaces "
                + "VMLAB_LOG; the README lists the labels.", valueName: "level"))
    var level: String?
}

protocol LoggingCommand: AsyncParsableCommand {
    var log: LogOptions { get }
}

/// The log of this process, on standard error.
enum Log {
    private static let output = Mutex<LogOutput?>(nil)
    /// How long a reader of standard error may take nothing at the end.
    private static let patience = Duration.seconds(2)

    /// Has all targets log from now on as the option says, or `VMLAB_LOG` where there is none. Once, before anything can be
    /// logged. Throws what is wrong with either.
    static func begin(_ option: String?) throws {
        var selection = LogSelection()
        if let option {
            selection = try LogSelection(parsing: option, of: "--log-level")
        } else if let variable = Environment["VMLAB_LOG"], !variable.isEmpty {
            selection = try LogSelection(parsing: variable, of: "VMLAB_LOG")
        }
        guard !selection.isEmpty else { return LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() } }
        let output = try LogOutput(TextStream(descriptor: 2))
        Self.output.withLock { $0 = output }
        LoggingSystem.bootstrap { [selection] in output.handler(label: $0, level: selection.level(of: $0)) }
        let log = Logger(label: "vmlab.commands")
        log.debug("vmlab begins", metadata: ["version": "\(vmlabVersion)", "pid": "\(getpid())"])
        log.trace("command line: \(CommandLine.arguments.joined(separator: " "))")
    }

    /// Whether lines of the log come to a terminal.
    static var isOnTerminal: Bool { output.withLock { $0 != nil } && isatty(2) == 1 }

    /// Writes out what waits, as far as it is read. Blocks.
    static func finish() { output.withLock { $0 }?.finish(patience: patience) }
}

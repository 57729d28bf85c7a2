import ArgumentParser
import Diagnostics
import HostSystem
import LabResults
import LabSpec
import Quantities

/// The `vmlab` command: composes the verbs.
public struct VMLabCommand: AsyncParsableCommand {
    /// Name, one-line summary and the verbs.
    public static let configuration = CommandConfiguration(
        commandName: "vmlab",
        abstract: "Run labs of Linux and Windows-like virtual machines.",
        discussion: """
            A lab is a YAML file or a Lua script that declares guests and the tasks to run on them. vmlab boots the guests \
            on this host, runs the tasks over their serial consoles, collects the results and tears everything down.

              vmlab run Labs/quickstart/lab.yaml     run a lab
              vmlab validate lab.yaml                find all mistakes in it, boot nothing
              vmlab doctor                           check what this host can do

            Exit status: 0 all tasks passed, 1 a task failed, 2 the lab or the command line is wrong, 3 a guest or an \
            image failed, 4 a deadline passed, 130 interrupted.
            """,
        version: vmlabVersion,
        groupedSubcommands: [
            CommandGroup(
                name: "Labs",
                subcommands: [RunVerb.self, ValidateVerb.self, PlanVerb.self, ReportVerb.self, SchemaVerb.self]),
            CommandGroup(name: "Guests", subcommands: [ReplVerb.self, PsVerb.self, LogsVerb.self, GCVerb.self]),
            CommandGroup(name: "Host", subcommands: [ImagesVerb.self, DoctorVerb.self]),
        ])

    /// Made by the argument parser.
    public init() {}

    /// Parses the command line, runs the verb and ends the process with its status: diagnostics go to standard error in
    /// full, wrong usage ends with 2.
    public static func start() async -> Never {
        SignalWatcher.ignoreBrokenPipes()
        refuseTooLittleSpace()
        Interruption.begin()
        ProcessLimits.raiseOpenFiles()
        do {
            try checkHelp(CommandLine.arguments.dropFirst())
            var command = try parseAsRoot()
            try Log.begin((command as? any LoggingCommand)?.log.level)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            Output.end(ExitStatus.passed)
        } catch let status as ExitStatus {
            Output.end(status)
        } catch let list as DiagnosticList {
            Output.errors(list)
            Output.end(list.exitStatus)
        } catch let problem as Diagnostic {
            Output.errors(DiagnosticList([problem]))
            Output.end(DiagnosticList([problem]).exitStatus)
        } catch is CancellationError {
            Output.end(ExitStatus.interrupted)
        } catch {
            // Help, version and completion scripts come this way too, with status 0.
            let status = exitCode(for: error)
            let text = fullMessage(for: error)
            if status.isSuccess { Output.line(text) } else { Output.error(text) }
            Output.end(status.isSuccess ? .passed : .invalid)
        }
    }

    /// Throws for `vmlab help` with what is no verb: the argument parser would show the help of all.
    private static func checkHelp(_ words: ArraySlice<String>) throws(Diagnostic) {
        guard words.first == "help" else { return }
        var command: any ParsableCommand.Type = VMLabCommand.self
        for word in words.dropFirst() where !word.hasPrefix("-") {
            let verbs = command.configuration.subcommands
            guard let verb = verbs.first(where: { $0._commandName == word }) else {
                let names = verbs.map { $0._commandName }
                throw Diagnostic(
                    .specification, "there is no verb \(word.quoted())",
                    remedy: didYouMean(word, names) ?? "there are \(names.joined(separator: ", "))")
            }
            command = verb
        }
    }

    /// What this program and its threads map, generously; guests are processes of their own, which inherit the limit.
    private static let leastAddressSpace = ByteCount.mebibytes(512)

    /// Ends the process where its threads could not be started: they would crash without a word.
    private static func refuseTooLittleSpace() {
        guard let limit = ProcessLimits.addressSpace, limit < leastAddressSpace.bytes else { return }
        let problem = Diagnostic(
            .host, "the address space of this process is limited to \(ByteCount(limit))",
            remedy: "vmlab needs \(leastAddressSpace), and as much again as a guest's memory for each guest: "
                + "`ulimit -v unlimited`")
        Output.errors(DiagnosticList([problem]))
        Output.end(.infrastructure)
    }
}

/// The version that `--version` prints and results carry.
let vmlabVersion = "0.1.0"

extension ExitStatus: Error {}

extension DiagnosticList {
    /// What a command that ends with these exits with.
    var exitStatus: ExitStatus {
        all.allSatisfy { $0.category == .specification } ? .invalid : .infrastructure
    }
}

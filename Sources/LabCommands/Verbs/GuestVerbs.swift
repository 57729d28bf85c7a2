import ArgumentParser
import Diagnostics
import Glibc
import HostSystem
import HostResources
import LabImages
import LabResults
import LabSpec
import Quantities

struct PsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "List your running labs and their guests.")

    func run() throws {
        let runs = RunRegistry.live()
        guard !runs.isEmpty else { return Output.line("no runs") }
        let now = time(nil)
        let rows = runs.flatMap { run in
            let head = [run.head.lab, "\(run.head.processID)", "\(max(0, now - Int(run.head.began)))s"]
            let results = run.head.results ?? "-"
            guard !run.guests.isEmpty else { return [head + ["-", "-", "-", results]] }
            return run.guests.map {
                head + [$0.name, "\($0.processID)", ByteCount($0.residentMemory).description, results]
            }
        }
        Output.table(["LAB", "RUNNER", "SINCE", "GUEST", "PID", "MEMORY", "RESULTS"], rows)
    }
}

struct LogsVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Print a guest's recorded kernel console.",
        discussion: """
            From the current run, else from the latest one in ./results.

              vmlab logs lin-1
              vmlab logs lin-1 --results results/mixed-2026-11-22-101500
            """)

    @Argument(help: "The guest's name.") var guest: String

    @Option(help: ArgumentHelp("The results directory of the run.", valueName: "dir"))
    var results: String?

    func run() async throws {
        let directories = results.map { [$0] } ?? liveDirectories + ["results/latest"]
        for directory in directories {
            let path = "\(directory)/\(RunDirectory.consoleLog(guest))"
            guard access(path, R_OK) == 0 else { continue }
            for line in visibleLines(SmallFile.text(path) ?? "") { Output.line(line) }
            return
        }
        throw Diagnostic(
            .specification,
            "no console of a guest named \(guest) is recorded in \(directories.joined(separator: ", "))",
            remedy: "`vmlab ps` lists the guests that run; --results DIR names a finished run")
    }

    /// Where the runs that have such a guest now write their results.
    private var liveDirectories: [String] {
        RunRegistry.live().filter { run in run.guests.contains { $0.name == guest } }.compactMap(\.head.results)
    }
}

struct GCVerb: LoggingCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Remove what killed runs left behind: processes, sockets, disks, unfinished goldens.",
        discussion: "Does not touch current runs; does nothing if there is nothing to remove.")

    @OptionGroup var log: LogOptions

    func run() async throws {
        let runs = await Collector.collect()
        for run in runs {
            Output.line("\(run.lab) (\(run.run)):")
            for guest in run.killed { Output.line("  killed \(guest)") }
            for path in run.removed { Output.line("  removed \(path)") }
            for failure in run.failures { Output.error("  could not remove \(failure)") }
        }
        // After the processes that may write to them.
        let leftovers = GoldenStore().removeLeftovers()
        for leftover in leftovers { Output.line("removed \(leftover.path)") }
        if runs.isEmpty && leftovers.isEmpty { Output.line("nothing to remove") }
        if runs.contains(where: { !$0.failures.isEmpty }) { throw ExitStatus.infrastructure }
    }
}

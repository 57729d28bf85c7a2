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
        guard !runs.isEmpty else { return Report.line("no runs") }
        let now = time(nil)
        let rows = runs.flatMap { run in
            let head = [run.head.lab, "\(run.head.processID)", "\(max(0, now - Int(run.head.began)))s"]
            let results = run.head.results ?? "-"
            guard !run.guests.isEmpty else { return [head + ["-", "-", "-", results]] }
            return run.guests.map {
                head + [$0.name, "\($0.processID)", ByteCount($0.residentMemory).description, results]
            }
        }
        Report.table(["LAB", "RUNNER", "SINCE", "GUEST", "PID", "MEMORY", "RESULTS"], rows)
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
            for line in visibleLines(SmallFile.text(path) ?? "") { Report.line(line) }
            return
        }
        throw Diagnostic(
            .specification,
            "no console of a guest named \(guest) is recorded in \(directories.joined(separator: ", "))",
            remedy: "`vmlab ps` lists the guests that run; --results DIR names a finished run")
    }
}

extension LogsVerb {
    /// Where the runs that have such a guest now write their results.
    fileprivate var liveDirectories: [String] {
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
        let reports = await Collector.collect()
        for report in reports {
            Report.line("\(report.lab) (\(report.run)):")
            for guest in report.killed { Report.line("  killed \(guest)") }
            for path in report.removed { Report.line("  removed \(path)") }
            for failure in report.failures { Report.error("  could not remove \(failure)") }
        }
        // After the processes that may write to them.
        let leftovers = GoldenStore().removeLeftovers()
        for leftover in leftovers { Report.line("removed \(leftover.path)") }
        if reports.isEmpty && leftovers.isEmpty { Report.line("nothing to remove") }
        if reports.contains(where: { !$0.failures.isEmpty }) { throw ExitStatus.infrastructure }
    }
}

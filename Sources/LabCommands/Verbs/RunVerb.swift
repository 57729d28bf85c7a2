import ArgumentParser
import HostSystem
import LabRunner
import LabResults

struct RunVerb: LoggingCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run labs: boot the guests, run the tasks, collect the results, tear down.",
        discussion: """
              vmlab run lab.yaml
              vmlab run lab.yaml --set guests.lin.count=2 --filter 'kernel*'
              vmlab run lab.yaml --out results/today --json | jq .event
              vmlab run disk.yaml net.yaml smoke.lua --out today   # into today/disk, ...
              vmlab run smoke.lua --arg quick

            Ctrl-C ends the run in order: tasks with `if: always()` run, files are collected, guests shut down, results are \
            written. A second Ctrl-C, at least a second later, ends it at once: guests are killed, results are written.
            """)

    /// What happens when a task has failed.
    enum FailurePolicy: String, ExpressibleByArgument, CaseIterable {
        case `continue`, stop
    }

    @OptionGroup var labs: LabOptions
    @OptionGroup var host: HostOptions
    @OptionGroup var grants: GrantOptions
    @OptionGroup var log: LogOptions

    @Option(
        help: ArgumentHelp(
            "Write the results to this folder instead of results/<lab>-<time>. Several files get a folder each in it, named "
                + "after the file; a lab.yaml, after its folder.", valueName: "dir"))
    var out: String?

    @Option(help: ArgumentHelp("Multiply all timeouts, for slow hosts.", valueName: "factor"))
    var timeFactor: Double = 1

    @Option(
        help:
            "After a failed task, continue with the others, or stop and skip them, including other matrix cells and files."
    )
    var onFailure: FailurePolicy = .continue

    @Option(
        name: .customLong("arg"), parsing: .singleValue,
        help: ArgumentHelp("Add a word to the `vmlab.args` of scripts.", valueName: "word"))
    var words: [String] = []

    @Flag(help: "Print events as JSON lines.")
    var json = false

    @Flag(help: "Print only failures and the last line.")
    var quiet = false

    func validate() throws {
        guard timeFactor.isFinite, timeFactor > 0, timeFactor <= 1000 else {
            throw ValidationError("--time-factor must be above 0 and at most 1000")
        }
    }

    func run() async throws {
        let planner = Planner(host: host, access: grants.access)
        let jobs = try await planner.jobs(labs)
        let places = try ResultsPlaces(files: labs.files, out: out)
        let selection = SinkSelection(
            quiet: quiet, json: json, environment: Environment.all, isShared: Log.isOnTerminal)
        let grace = jobs.map(\.grace).max() ?? .zero
        let statuses = try await Interruption.handling(within: grace * timeFactor + Self.teardown) { interruption in
            let runner = JobRunner(
                planner: planner, labs: labs, timeFactor: timeFactor, stopOnFailure: onFailure == .stop,
                grants: grants, words: words, interruption: interruption)
            var places = places
            var statuses: [ExitStatus] = []
            var skipped = SkippedJobs()
            for job in jobs {
                let directory = try places.directory(for: job)
                let sink = try selection.progressSink(directory: directory.path) {
                    interruption.current == nil ? Self.readerPatience : Self.hurriedPatience
                }
                if let reason = obstacle(after: statuses, interruption) {
                    try await skipped.add(job, reason, in: directory, showing: json ? sink : nil)
                } else {
                    statuses.append(try await runner.perform(job, in: directory, showing: sink))
                }
            }
            skipped.tell()
            return interruption.current == nil ? statuses : statuses + [.interrupted]
        }
        throw ExitStatus.gravest(of: statuses)
    }

    /// How long a reader of standard output may take nothing once a run has ended: somebody may be paging through it.
    private static let readerPatience = Duration.seconds(600)

    /// The same of a run that was interrupted.
    private static let hurriedPatience = Duration.seconds(2)

    /// How long a run may take beyond its grace time to tear everything down.
    private static let teardown = Duration.seconds(60)

    /// Why no further run begins after runs that ended so; nil when the next one does.
    private func obstacle(after statuses: [ExitStatus], _ interruption: Completion<Void>) -> String? {
        if interruption.current != nil { return LabRun.interruption }
        guard onFailure == .stop, statuses.contains(where: { $0 != .passed }) else { return nil }
        return "an earlier run failed, and --on-failure is stop"
    }
}

extension HostDescription {
    /// This host, now.
    static var current: HostDescription {
        let facts = HostFacts()
        return HostDescription(
            name: facts.hostName, kernel: facts.kernelRelease, cores: facts.processorCount, memory: facts.usableMemory)
    }
}

import ArgumentParser
import Diagnostics
import HostSystem
import LabEngine
import LabImages
import LabMachines
import LabResults
import LabScripting
import LabSpec

struct RunVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run labs: boot the guests, run the tasks, collect the results, tear down.",
        discussion: """
              vmlab run lab.yaml
              vmlab run lab.yaml --set guests.lin.count=2 --filter 'kernel*'
              vmlab run lab.yaml --out results/today --json | jq .event
              vmlab run disk.yaml net.yaml smoke.lua --out today      # to today/disk, today/net and today/smoke
              vmlab run smoke.lua --arg quick

            Ctrl-C stops the run in order: guests gone, results written. A second one stops it at once.
            """)

    /// What happens when a task has failed.
    enum FailurePolicy: String, ExpressibleByArgument, CaseIterable {
        case `continue`, stop
    }

    @OptionGroup var labs: LabOptions
    @OptionGroup var host: HostOptions
    @OptionGroup var grants: GrantOptions

    @Option(
        help: ArgumentHelp(
            "Write the results there instead of results/<lab>-<time>; those of several files to a folder each, named "
                + "after the file (of a lab.yaml: after its folder).", valueName: "dir"))
    var out: String?

    @Option(help: ArgumentHelp("Multiply every timeout, for slow hosts.", valueName: "factor"))
    var timeFactor: Double = 1

    @Option(help: "After a failed task: continue with the others, or stop and skip them, other cells and files too.")
    var onFailure: FailurePolicy = .continue

    @Option(
        name: .customLong("arg"), parsing: .singleValue,
        help: ArgumentHelp("A word for scripts: one of their `vmlab.args`.", valueName: "word"))
    var words: [String] = []

    @Flag(help: "Print events as JSON lines.")
    var json = false

    @Flag(help: "Print failures and the last line only.")
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
        let selection = SinkSelection(quiet: quiet, json: json, environment: Environment.all)
        let statuses = try await interruptible {
            var places = places
            var statuses: [ExitStatus] = []
            var skipped = SkippedJobs()
            for job in jobs {
                let directory = try places.directory(for: job)
                if let reason = obstacle(after: statuses) {
                    skipped.add(job, reason, in: directory, selection)
                } else {
                    let sink = selection.progressSink(directory: directory.path)
                    statuses.append(try await perform(job, planner, in: directory, showing: sink))
                }
            }
            skipped.tell()
            return Task.isCancelled ? statuses + [.interrupted] : statuses
        }
        throw ExitStatus.gravest(of: statuses)
    }

    /// Why no further run begins after runs that ended so; nil when the next one does.
    private func obstacle(after statuses: [ExitStatus]) -> String? {
        if Task.isCancelled { return LabRun.interruption }
        guard onFailure == .stop, statuses.contains(where: { $0 != .passed }) else { return nil }
        return "an earlier run failed, and --on-failure is stop"
    }

    private func perform(
        _ job: RunJob, _ planner: Planner, in directory: RunDirectory, showing sink: any RunSink
    ) async throws -> ExitStatus {
        switch job.work {
        case .lab(let plan): try await perform(plan, in: directory, showing: sink)
        case .script(let script): try await perform(script, planner, in: directory, showing: sink)
        }
    }

    private func perform(
        _ plan: RunPlan, in directory: RunDirectory, showing sink: any RunSink
    ) async throws -> ExitStatus {
        let recorder = recorder(directory, showing: sink)
        defer { finish(recorder) }
        recorder.emit(.runStarted(plan.description(host: .current, version: vmlabVersion)))
        do {
            let images = try await ImageSupply().images(for: plan.lab) { image, step, fraction in
                recorder.emit(.imageProgress(image: image, step: step, fraction: fraction))
            }
            let journal = try RunJournal.begin(lab: plan.lab.name, results: directory.path)
            defer { journal.end() }
            let options = LabRun.Options(
                timeFactor: timeFactor, stopOnFailure: onFailure == .stop,
                boots: Planner(host: host, access: grants.access).boots)
            let scripting = LuaTasks(
                results: directory, isTrusted: grants.trust, catalog: Set(ImageCatalog.names),
                variables: grants.variables)
            return await LabRun(
                plan: plan, images: images, options: options, recorder: recorder, results: directory,
                journal: journal, scripting: scripting, goldens: KeptGoldens()
            ).run()
        } catch {
            // The images could not be had: no guest was started, every task is an error, and the results say so.
            let status = LabRun.abandon(plan, because: error, recorder: recorder)
            if let list = error as? DiagnosticList ?? (error as? Diagnostic).map({ DiagnosticList([$0]) }) {
                Report.errors(list)
            }
            return status
        }
    }

    private func perform(
        _ script: Script, _ planner: Planner, in directory: RunDirectory, showing sink: any RunSink
    ) async throws -> ExitStatus {
        let recorder = recorder(directory, showing: sink)
        defer { finish(recorder) }
        recorder.emit(.runStarted(script.description(host: .current, version: vmlabVersion)))
        let journal = try RunJournal.begin(lab: script.name, results: directory.path)
        defer { journal.end() }
        let settings = Dictionary(try labs.parsedSettings().map { ($0.key, $0.value) }) { $1 }
        let options = ScriptRun.Options(
            arguments: words, variables: grants.variables.merging(settings) { $1 }, isTrusted: grants.trust,
            access: grants.access, limits: LiveLimits(factor: timeFactor), catalog: Set(ImageCatalog.names))
        return await ScriptRun(
            script, means: planner.means(recorder), options: options, recorder: recorder, results: directory,
            journal: journal,
            runLab: { path, settings in try await self.run(lab: path, settings, planner, in: directory) }
        ).run()
    }

    /// Runs a lab file for a script: its results lie within the script's, and nothing is printed.
    private func run(
        lab path: String, _ settings: [(key: String, value: String)], _ planner: Planner, in directory: RunDirectory
    ) async throws -> RunReport {
        var options = labs
        options.files = [path]
        options.settings = settings.map { "\($0.key)=\($0.value)" }
        options.filter = []
        let plans = try await planner.jobs(options).compactMap(\.plan)
        guard let plan = plans.first, plans.count == 1 else {
            throw Diagnostic(
                .specification, "\(path) has a matrix of \(plans.count) cells",
                remedy: "a script runs labs without one: make the cells with vmlab.matrix and `set`")
        }
        let place = try directory.part("lab-\(plan.lab.name)-\(UInt32.random(in: 0 ... .max))")
        let report = ReportSink([])
        _ = try await perform(plan, in: place, showing: report)
        return report.report
    }

    private func recorder(_ directory: RunDirectory, showing: any RunSink) -> RunRecorder {
        RunRecorder(sinks: [showing] + SinkSelection.fileSinks(directory))
    }

    private func finish(_ recorder: RunRecorder) {
        recorder.finish()
        Report.warnings(recorder.problems.map { Diagnostic(.host, $0, severity: .warning) })
    }

    /// Runs `body` until it ends; the first signal cancels it, the second ends the process.
    private func interruptible<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws
        -> Result
    {
        let received = try SignalWatcher.signals()
        let work = Task { try await body() }
        let signals = Task {
            var count = 0
            for await _ in received {
                count += 1
                // Guests die with this process: that is their parent-death signal.
                if count > 1 { Report.end(.interrupted) }
                work.cancel()
            }
        }
        defer { signals.cancel() }
        return try await work.value
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

import ArgumentParser
import Diagnostics
import HostSystem
import LabEngine
import LabImages
import LabResults
import LabSpec

struct RunVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run labs: boot the guests, run the tasks, collect the results, tear down.",
        discussion: """
              vmlab run lab.yaml
              vmlab run lab.yaml --set guests.lin.count=2 --filter 'kernel*'
              vmlab run lab.yaml --out results/today --json | jq .event

            Ctrl-C stops the run in order: guests gone, results written. A second one stops it at once.
            """)

    /// What happens when a task has failed.
    enum FailurePolicy: String, ExpressibleByArgument, CaseIterable {
        case `continue`, stop
    }

    @OptionGroup var lab: LabOptions
    @OptionGroup var host: HostOptions

    @Option(help: ArgumentHelp("Write the results there instead of results/<lab>-<time>.", valueName: "dir"))
    var out: String?

    @Option(help: ArgumentHelp("Multiply every timeout, for slow hosts.", valueName: "factor"))
    var timeFactor: Double = 1

    @Option(help: "After a failed task: continue with the others, or stop and skip them.")
    var onFailure: FailurePolicy = .continue

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
        let plans = try await Planner(host: host).plans(for: try lab.load())
        let selection = SinkSelection(quiet: quiet, json: json, environment: Environment.all)
        let statuses = try await interruptible {
            var statuses: [ExitStatus] = []
            for group in plans.chunked(by: { $0.lab.source.path == $1.lab.source.path && $1.lab.cell != nil }) {
                let directory = try RunDirectory.create(
                    lab: group[0].lab.name, out: plans.count > group.count ? out.map { "\($0)/\(group[0].lab.name)" } : out)
                for plan in group {
                    if Task.isCancelled { return statuses }
                    let place = try plan.lab.cell.map { try directory.cell($0.id) } ?? directory
                    statuses.append(try await perform(plan, in: place, selection))
                }
            }
            return statuses
        }
        throw ExitStatus.gravest(of: statuses)
    }

    private func perform(_ plan: RunPlan, in directory: RunDirectory, _ selection: SinkSelection) async throws
        -> ExitStatus
    {
        let recorder = RunRecorder(
            sinks: [selection.progressSink(directory: directory.path)] + SinkSelection.fileSinks(directory))
        defer {
            recorder.finish()
            Report.warnings(recorder.problems.map { Diagnostic(.host, $0, severity: .warning) })
        }
        recorder.emit(.runStarted(plan.description(host: HostFacts())))
        do {
            let images = try await ImageSupply().images(for: plan.lab) { image, step, fraction in
                recorder.emit(.imageProgress(image: image, step: step, fraction: fraction))
            }
            let workspace = try RunWorkspace.create(lab: plan.lab.name, results: directory.path)
            let options = LabRun.Options(
                timeFactor: timeFactor, stopOnFailure: onFailure == .stop, boots: HostFacts().processorCount)
            let status = await LabRun(
                plan: plan, images: images, options: options, recorder: recorder, results: directory,
                workspace: workspace
            ).run()
            await workspace.close()
            return status
        } catch {
            // The images could not be had: no guest was started, every task is an error, and the results say so.
            return LabRun.abandon(plan, because: error, recorder: recorder)
        }
    }

    /// Runs `body` until it ends; the first signal cancels it, the second ends the process.
    private func interruptible<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws
        -> Result
    {
        let work = Task { try await body() }
        let signals = Task {
            var count = 0
            for await _ in SignalWatcher.terminations() {
                count += 1
                // Guests die with this process: each has it as its parent-death signal's parent.
                if count > 1 { endProcess(with: .interrupted) }
                work.cancel()
            }
        }
        defer { signals.cancel() }
        return try await work.value
    }
}

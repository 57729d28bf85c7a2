import Diagnostics
import HostSystem
import GuestControl
import HostResources
import LabRunner
import LabImages
import LabMachines
import LabResults
import LabScripting
import LabSpec

/// Runs labs and scripts as a command line says, each with results of its own.
struct JobRunner: Sendable {
    let planner: Planner
    let labs: LabOptions
    let timeFactor: Double
    let stopOnFailure: Bool
    /// What scripts and labs may see of the host.
    let grants: GrantOptions
    /// The words given with `--arg`.
    let words: [String]
    /// Set when the run is to end in order.
    let interruption: Completion<Void>

    /// Runs one to its end and returns its status, at least `infrastructure` when its results could not be written, and not
    /// `passed` when what it printed could not. Throws when its journal cannot be begun.
    func perform(_ job: RunJob, in directory: RunDirectory, showing sink: any RunSink) async throws -> ExitStatus {
        let files = try SinkSelection.fileSinks(directory)
        let recorder = RunRecorder(sinks: [sink] + files)
        recorder.emit(.runStarted(job.description))
        let status: ExitStatus
        do {
            status =
                switch job.work {
                case .lab(let plan): try await perform(plan, in: directory, recorder)
                case .script(let script): try await perform(script, in: directory, recorder)
                }
        } catch {
            await recorder.finished()
            throw error
        }
        await recorder.finished()
        let lost = sink.problems.map { Diagnostic(.host, $0) }
        if !lost.isEmpty { Output.errors(DiagnosticList(lost)) }
        let problems =
            directory.isThere
            ? files.flatMap(\.problems).map { Diagnostic(.host, $0) }
            : [
                Diagnostic(
                    .host, "the results in \(directory.path) were removed while they were written",
                    remedy: "keep the folder until the run has ended, or choose another with --out DIR")
            ]
        guard !problems.isEmpty else { return lost.isEmpty || status != .passed ? status : .infrastructure }
        Output.errors(DiagnosticList(problems))
        return .gravest(of: [status, .infrastructure])
    }

    private func perform(
        _ plan: RunPlan, in directory: RunDirectory, _ recorder: RunRecorder
    ) async throws -> ExitStatus {
        do {
            let images = try await interruption.cancelling {
                try await ImageSupply(setup: SetupRunner(planner: planner, timeFactor: timeFactor)).images(
                    for: plan.lab
                ) { image, step, fraction in
                    recorder.emit(.imageProgress(image: image, step: step, fraction: fraction))
                }
            }
            let journal = try RunJournal.begin(lab: plan.lab.name, results: directory.path)
            defer { journal.end() }
            let options = LabRun.Options(
                timeFactor: timeFactor, stopOnFailure: stopOnFailure, boots: planner.boots, interruption: interruption)
            let scripting = LuaTasks(
                results: directory, isTrusted: grants.trust, catalog: Set(ImageCatalog.names),
                variables: grants.variables)
            return await LabRun(
                plan: plan, images: images, options: options, recorder: recorder, results: directory,
                journal: journal, scripting: scripting, goldens: GoldenStore()
            ).run()
        } catch {
            // The images could not be had: no guest was started, every task is an error, and the results say so.
            let status = LabRun.abandon(plan, because: error, recorder: recorder)
            if let list = error as? DiagnosticList ?? (error as? Diagnostic).map({ DiagnosticList([$0]) }) {
                Output.errors(list)
            }
            return status
        }
    }

    private func perform(
        _ script: Script, in directory: RunDirectory, _ recorder: RunRecorder
    ) async throws -> ExitStatus {
        let journal = try RunJournal.begin(lab: script.name, results: directory.path)
        defer { journal.end() }
        let settings = Dictionary(try labs.parsedSettings().map { ($0.key, $0.value) }) { $1 }
        let options = ScriptRun.Options(
            arguments: words, variables: grants.variables.merging(settings) { $1 }, isTrusted: grants.trust,
            access: grants.access, limits: LiveLimits(factor: timeFactor), catalog: Set(ImageCatalog.names),
            interruption: interruption)
        return await ScriptRun(
            script, resources: planner.resources(recorder), options: options, recorder: recorder, results: directory,
            journal: journal,
            runLab: { path, settings in try await run(lab: path, settings, in: directory) }
        ).run()
    }

    /// Runs a lab file for a script: its results lie within the script's, and nothing is printed.
    private func run(
        lab path: String, _ settings: [(key: String, value: String)], in directory: RunDirectory
    ) async throws -> RunReport {
        var options = labs
        options.files = [path]
        options.settings = settings.map { "\($0.key)=\($0.value)" }
        options.filter = []
        let jobs = try await planner.jobs(options)
        guard let job = jobs.first, let plan = job.plan, jobs.count == 1 else {
            throw Diagnostic(
                .specification, "\(path) has a matrix of \(jobs.count) cells",
                remedy: "a script can run only labs without a matrix: use vmlab.matrix and `set` instead")
        }
        let place = try directory.part("lab-\(plan.lab.name)-\(UInt32.random(in: 0 ... .max))")
        let report = ReportSink([])
        _ = try await perform(job, in: place, showing: report)
        return report.report
    }
}

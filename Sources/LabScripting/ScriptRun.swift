import HostSystem
import GuestControl
import HostResources
import LabRunner
import LabResults
import LuaRuntime
import Synchronization

/// One run of one script: when it returns, its guests have ended and its results are recorded.
public struct ScriptRun: Sendable {
    /// The options of a run.
    public struct Options: Sendable {
        /// The words given with `--arg`.
        public var arguments: [String]
        /// What `vmlab.env` has.
        public var variables: [String: String]
        /// Whether the script has the whole of Lua's library.
        public var isTrusted: Bool
        /// What of the host's files the script may name, besides those at or below its folder.
        public var access: HostAccess
        /// How long things may take.
        public var limits: LiveLimits
        /// Images that need no declaration.
        public var catalog: Set<String>
        /// Set by who wants the script to end in order.
        public var interruption: Completion<Void>

        /// Options as given.
        public init(
            arguments: [String] = [], variables: [String: String] = [:], isTrusted: Bool = false,
            access: HostAccess = HostAccess(to: []), limits: LiveLimits = LiveLimits(), catalog: Set<String>,
            interruption: Completion<Void> = Completion()
        ) {
            self.interruption = interruption
            self.arguments = arguments
            self.variables = variables
            self.isTrusted = isTrusted
            self.access = access
            self.limits = limits
            self.catalog = catalog
        }
    }

    /// Runs a lab file for a script and returns its report.
    public typealias LabRunner =
        @Sendable (_ path: String, _ settings: [(key: String, value: String)]) async throws -> RunReport

    private let script: Script
    private let resources: ScriptFleet.Resources
    private let options: Options
    private let recorder: RunRecorder
    private let results: RunDirectory
    private let journal: RunJournal
    private let runLab: LabRunner?

    /// A run of `script`. The recorder must have received `runStarted`; it receives everything up to and including
    /// `runFinished`. The caller ends `journal` afterwards.
    public init(
        _ script: Script, resources: ScriptFleet.Resources, options: Options, recorder: RunRecorder,
        results: RunDirectory,
        journal: RunJournal, runLab: LabRunner? = nil
    ) {
        self.script = script
        self.resources = resources
        self.options = options
        self.recorder = recorder
        self.results = results
        self.journal = journal
        self.runLab = runLab
    }

    /// Runs the script and returns the status that the command should exit with. When `options.interruption` is set the script is
    /// ended, and what it has postponed has the grace time with its guests. A cancelled task tears everything down at once. Both
    /// give `interrupted`.
    public func run() async -> ExitStatus {
        let id = TaskID(task: script.name, guest: nil)
        let scope = ScriptScope(id: id, recorder: recorder, output: results.outputWriter(id), results: results)
        let outcomes = Mutex<[Outcome]>([])
        recorder.emit(.taskStarted(id, attempt: 1))
        var result = TaskResult(id, .passed, started: recorder.clock.elapsed)
        var failure: (any Error)?
        do {
            try await run(scope) { part in outcomes.withLock { $0.append(part.outcome) } }
        } catch {
            failure = error
        }
        let isInterrupted = Task.isCancelled || options.interruption.current != nil
        if isInterrupted { recorder.emit(.interrupted(reason: LabRun.interruption)) }
        result.complete(scope, failure, in: results)
        if let error = failure as? LuaError, !error.traceback.isEmpty, !isInterrupted { report(error) }
        recorder.emit(.taskFinished(result))
        let all = outcomes.withLock { $0 } + [result.outcome]
        let status = isInterrupted ? ExitStatus.interrupted : .gravest(of: all)
        let counts = Dictionary(grouping: all, by: \.rawValue).mapValues(\.count)
        recorder.emit(.runFinished(RunSummary(status: status, duration: recorder.clock.elapsed, counts: counts)))
        return status
    }

    private func run(_ scope: ScriptScope, onSubtest: @escaping @Sendable (TaskResult) -> Void) async throws {
        let fleet = ScriptFleet(
            resources: resources, limits: options.limits, recorder: recorder, results: results, journal: journal)
        let world = ScriptWorld(
            fleet: fleet, recorder: recorder, results: results, source: script.text, folder: script.folder,
            isTrusted: options.isTrusted, access: options.access.adding(script.folder).adding(results.path),
            runLab: runLab,
            onSubtest: onSubtest)
        let print: @Sendable (LuaString) -> Void = { [recorder] line in
            recorder.emit(.note(level: .info, message: line.text))
            scope.output.append(line.bytes + [10])
        }
        try await world.withState(
            arguments: options.arguments, variables: options.variables, catalog: options.catalog, print: print
        ) { state in
            try await ScriptScope.$current.withValue(scope) {
                try await fleet.run {
                    var failure: (any Error)?
                    do {
                        _ = try await options.interruption.cancelling { [script] in
                            try await state.run(source: script.bytes, name: script.path)
                        }
                    } catch {
                        failure = error
                    }
                    if !state.isUsable {
                        // Only who was cancelled is given up.
                        failure = CancellationError()
                        let news =
                            "the script did not end when it was interrupted, "
                            + "and was abandoned: it is in a function that does not return"
                        recorder.emit(.note(level: .warning, message: news))
                    }
                    let late = await callPostponed(world)
                    if let error = failure ?? late { throw error }
                }
            }
        }
    }

    /// Also in a run that was interrupted, but then not for long.
    private func callPostponed(_ world: ScriptWorld) async -> (any Error)? {
        guard Task.isCancelled || options.interruption.current != nil else { return await world.callPostponed() }
        guard world.hasPostponed else { return nil }
        let grace = options.limits.timeouts.grace * options.limits.factor
        recorder.emit(
            .note(level: .info, message: graceNote("calling the functions of vmlab.defer", grace, isFirst: false)))
        await world.callPostponed(until: HostClock.now + grace)
        return nil
    }

    /// Shows where a script failed, from the outside in.
    private func report(_ error: LuaError) {
        let frames = error.traceback.filter { $0.location != nil }
        guard frames.count > 1 else { return }
        let lines = frames.map { "\n    \($0)" }.joined()
        recorder.emit(.note(level: .info, message: "the script failed here:\(lines)"))
    }
}

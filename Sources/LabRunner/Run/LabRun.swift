import Diagnostics
import GuestConsole
import GuestControl
import HostResources
import HostSystem
import LabResults
import LabSpec
import Quantities
import Synchronization

/// One run of one lab: admission, boots, tasks, teardown.
///
/// Structured from end to end: `run` returns when no guest is left, also when its task is cancelled.
public struct LabRun: Sendable {
    /// What the command line says about a run.
    public struct Options: Sendable {
        /// Multiplies every timeout.
        public var timeFactor: Double
        /// Whether the first failure keeps further tasks from starting.
        public var stopOnFailure: Bool
        /// How many guests may boot at the same time: boots are bounded by the processors.
        public var boots: Int
        /// Reads memory, for labs whose guests are admitted by what they use.
        public var meter: any MemoryMeter
        /// Set by who wants the run to end in order.
        public var interruption: Completion<Void>

        /// Options as given.
        public init(
            timeFactor: Double = 1, stopOnFailure: Bool = false, boots: Int, meter: any MemoryMeter = HostMeter(),
            interruption: Completion<Void> = Completion()
        ) {
            self.meter = meter
            self.interruption = interruption
            self.timeFactor = timeFactor
            self.stopOnFailure = stopOnFailure
            self.boots = boots
        }
    }

    private let plan: RunPlan
    private let images: [String: BootableImage]
    private let options: Options
    private let recorder: RunRecorder
    private let results: RunDirectory
    private let journal: RunJournal
    private let scripting: (any TaskScripting)?
    private let goldens: (any GoldenStoring)?

    /// A run of `plan`. `images` holds every image that the lab's groups name. The recorder must have been told
    /// `runStarted`; it is told everything up to and including `runFinished`. Machines and their folders are written down in
    /// `journal`, which the caller ends afterwards. `scripting` runs the tasks that are scripts; without it they are errors. `goldens` keeps what
    /// guests are cloned from; without it every guest boots.
    public init(
        plan: RunPlan, images: [String: BootableImage], options: Options, recorder: RunRecorder,
        results: RunDirectory, journal: RunJournal, scripting: (any TaskScripting)? = nil,
        goldens: (any GoldenStoring)? = nil
    ) {
        self.scripting = scripting
        self.goldens = goldens
        self.plan = plan
        self.images = images
        self.options = options
        self.recorder = recorder
        self.results = results
        self.journal = journal
    }

    /// Runs the lab and returns the status that the command should exit with.
    ///
    /// When `options.interruption` is set, or the lab's time is up, tasks that run are cut short, their files are collected,
    /// and tasks that run always are run where their guests are up, all within the lab's grace time. A cancelled task tears
    /// everything down at once. Both give `interrupted`.
    public func run() async -> ExitStatus {
        let recorder = recorder
        let plan = plan
        let progress = RunProgress(plan, recorder)
        let admission = Admission(memory: plan.budget.limit, slots: plan.slots, mode: plan.lab.admission)
        let scheduler = Scheduler(
            Dispatch(
                Schedule(tasks: plan.lab.tasks, guests: plan.guests.map(\.guest.name)), isRoomy: plan.batches <= 1),
            admission: admission, progress: progress)
        recorder.emit(.fleetAdmitted(batches: plan.batches, note: admissionNote))

        let networks: LabNetworks
        do {
            networks = try LabNetworks(plan.lab.networks, plan.guests, in: journal.directory)
        } catch {
            return Self.abandon(plan, because: error, recorder: recorder)
        }
        let tasks = TaskRunner(
            lab: plan.lab, timeFactor: options.timeFactor, ending: Completion(), results: results,
            recorder: recorder, board: GuestBoard(plan.guests.map(\.guest.name)), scripting: scripting)
        var fleet = Fleet(
            admission, boots: options.boots, limits: tasks.limits, networks: networks, groups: plan.lab.groups,
            goldens: goldens, recorder: recorder, results: results, journal: journal)
        defer { fleet.close() }
        let watch = MemoryWatch(meter: options.meter, admission: admission, boots: fleet.boots, recorder: recorder)
        if isWatched { fleet.observers.append(watch) }
        let context = Context(
            fleet: fleet, timeFactor: options.timeFactor, scheduler: scheduler, tasks: tasks, progress: progress,
            stopOnFailure: options.stopOnFailure)

        await withTaskCancellationHandler {
            await work(context, watch: isWatched ? watch : nil)
        } onCancel: {
            if context.isEnding.fulfil() { recorder.emit(.interrupted(reason: Self.interruption)) }
            Task { await scheduler.stop(reason: Self.interruption, cleaningUp: false) }
        }
        // Whatever became of the guests, every run has its result before the last event.
        let isInterrupted = Task.isCancelled || options.interruption.current != nil
        await scheduler.stop(
            reason: tasks.ending.current?.reason ?? (isInterrupted ? Self.interruption : "no guest was left for it"),
            cleaningUp: false)
        let status = isInterrupted ? ExitStatus.interrupted : progress.status
        recorder.emit(.admissionEnded(admission.summary))
        recorder.emit(
            .runFinished(RunSummary(status: status, duration: recorder.clock.elapsed, counts: progress.counts)))
        return status
    }

    /// Records a run that could not begin: every task is an error for the reason given (skipped when it was cancelled).
    public static func abandon(_ plan: RunPlan, because error: any Error, recorder: RunRecorder) -> ExitStatus {
        let verdict = Verdict(of: error)
        if verdict.outcome == .skipped { return recorder.skip(plan.runs, because: interruption) }
        recorder.emit(.note(level: .warning, message: verdict.message))
        return recorder.abandon(plan.runs, .error, .infrastructure, because: verdict.message)
    }

    /// What is said of a run that a signal ended.
    public static let interruption = "the run was interrupted"

    /// Strict admission has nothing to measure.
    private var isWatched: Bool { plan.lab.admission == .overcommit }

    /// Returns when no guest is left: all is done, or the run was to end and its grace time is over.
    private func work(_ context: Context, watch: MemoryWatch?) async {
        await context.scheduler.settle()
        await withTaskGroup(of: Void.self) { group in
            let isOver = Completion<Void>()
            group.addTask {
                await workGuests(context)
                isOver.fulfil()
            }
            group.addTask {
                await enforceEnds(context)
                isOver.fulfil()
            }
            if let limit = plan.lab.timeouts.lab {
                group.addTask {
                    let time = limit * options.timeFactor
                    if (try? await HostClock.sleep(for: time)) != nil { _ = await context.end(.deadline) }
                }
            }
            group.addTask {
                for await _ in context.fleet.admission.waits { await context.scheduler.makeRoom() }
            }
            if let watch {
                group.addTask { await watch.run { await context.scheduler.makeRoom() } }
            }
            _ = try? await isOver.wait()
            group.cancelAll()
        }
    }

    /// Ends the run when it is interrupted. Returns when guests that are still there are to be torn down: the grace time is
    /// over, or a run that was ending already is interrupted.
    private func enforceEnds(_ context: Context) async {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                guard (try? await options.interruption.wait()) != nil else { return true }
                return await !context.end(.interrupted)
            }
            group.addTask {
                guard let end = try? await context.tasks.ending.wait() else { return true }
                try? await HostClock.sleep(until: end.deadline + Self.lastWords)
                return true
            }
            while let isOver = await group.next(), !isOver {}
            group.cancelAll()
        }
    }

    /// How long what the end of the grace time cuts short may take to say so.
    private static let lastWords = Duration.seconds(2)

    private func workGuests(_ context: Context) async {
        let busy = plan.guestsWithTasks
        await withTaskGroup(of: Void.self) { guests in
            for (number, guest) in plan.guests.enumerated() {
                guard let image = images[guest.group.image] else {
                    let reason = "\(guest.guest.name): image \(guest.group.image) is not there"
                    await context.scheduler.lose(number, reason: reason)
                    continue
                }
                let worker = GuestWorker(
                    number: number, guest: guest, image: image, hasTasks: busy.contains(guest.guest.name),
                    run: context)
                guests.addTask { await worker.work() }
            }
        }
    }

    private var admissionNote: String? {
        if plan.lab.admission == .overcommit, plan.totalCost > plan.budget.limit {
            return "the fleet's memory adds up to \(plan.totalCost), of which \(plan.budget.limit) may be used "
                + "(\(plan.budget.explanation)): guests are admitted by what they use"
        }
        guard plan.batches > 1 else { return nil }
        return
            "the fleet needs \(plan.totalCost), but only \(plan.budget.limit) may be used (\(plan.budget.explanation)): "
            + "guests take turns"
    }
}

import Diagnostics
import GuestConsole
import GuestControl
import HostResources
import HostSystem
import LabResults
import LabSpec
import Quantities
import Synchronization

/// One run of one lab: admission, boots, tasks, teardown. Structured concurrency throughout: `run` returns when no guest is left,
/// also when cancelled.
public struct LabRun: Sendable {
    /// A run's options from the command line.
    public struct Options: Sendable {
        /// Multiplies every timeout.
        public var timeFactor: Double
        /// Whether the first failure stops further tasks from starting.
        public var stopOnFailure: Bool
        /// The maximum number of concurrent boots, limited by the host's CPUs.
        public var boots: Int
        /// Reads memory, for labs with overcommit.
        public var meter: any MemoryMeter
        /// Fulfilled to end the run gracefully.
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

    /// A run of `plan`. `images` has every image that the lab's groups name. The recorder must already have `runStarted`; the run
    /// emits everything up to `runFinished`. Machines and folders are recorded in `journal`, which the caller ends afterwards.
    /// `scripting` runs script tasks; without it they are errors. `goldens` is the golden store; without it every guest boots.
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

    /// Runs the lab and returns the command's exit status. When `options.interruption` is fulfilled, or the lab's deadline passes,
    /// running tasks are interrupted, their files are collected, and tasks that always run do so on guests that are up, all within
    /// the lab's grace time. Cancellation tears everything down at once. Both return `interrupted`.
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
        // Whatever happened to the guests, every run has a result before the last event.
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

    /// Records a run that could not begin: every task gets this error, or is skipped when the run was cancelled.
    public static func abandon(_ plan: RunPlan, because error: any Error, recorder: RunRecorder) -> ExitStatus {
        let verdict = Verdict(of: error)
        if verdict.outcome == .skipped { return recorder.skip(plan.runs, because: interruption) }
        recorder.emit(.note(level: .warning, message: verdict.message))
        return recorder.abandon(plan.runs, .error, .infrastructure, because: verdict.message)
    }

    /// The reason given for a run that a signal ended.
    public static let interruption = "the run was interrupted"

    /// Strict admission needs no measurements.
    private var isWatched: Bool { plan.lab.admission == .overcommit }

    /// Returns when no guest is left: all work is done, or the run ended early and its grace time is over.
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

    /// Ends the run when it is interrupted. Returns when the remaining guests are to be torn down: the grace time is over, or a
    /// second interruption came.
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

    /// How long operations interrupted at the end of the grace time may take to return.
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

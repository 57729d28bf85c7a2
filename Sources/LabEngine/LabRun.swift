import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabSpec
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

        /// Options as given.
        public init(
            timeFactor: Double = 1, stopOnFailure: Bool = false, boots: Int, meter: any MemoryMeter = HostMeter()
        ) {
            self.meter = meter
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

    /// Runs the lab and returns the status that the command should exit with. A cancelled task tears everything down and
    /// gives `interrupted`.
    public func run() async -> ExitStatus {
        let tally = Tally()
        let recorder = recorder
        let plan = plan
        let schedule = Schedule(tasks: plan.lab.tasks, guests: plan.guests.map(\.guest.name))
        // The scheduler asks admission whether guests wait; admission pokes the scheduler when one begins to.
        let poke = Completion<Scheduler>()
        let admission = Admission(
            memory: plan.budget.limit, seats: plan.seats, mode: plan.lab.admission,
            onWaiting: { Task { await poke.current?.makeRoom() } })
        let scheduler = Scheduler(
            schedule: schedule, worth: { admission.worth(of: $0) ?? plan.guests[$0].cost }, isRoomy: plan.waves <= 1,
            shortage: { admission.shortage },
            onAbandoned: { gone in
                let task = plan.lab.tasks[gone.run.task]
                let guest = gone.run.pinned.map { plan.guests[$0].guest.name }
                var result = TaskResult(
                    id: TaskID(task: task.name, guest: guest, index: gone.run.index, repetitions: task.repetitions),
                    outcome: gone.outcome, started: recorder.clock.elapsed, attempts: gone.run.attempt - 1,
                    message: gone.reason)
                if let last = gone.run.before?.results.last {
                    result = last
                    result.message = gone.reason
                    result.earlier = gone.run.before?.results.dropLast() ?? []
                }
                tally.count(result.outcome)
                recorder.emit(.taskFinished(result))
            },
            onParked: { guest, isPressing in
                admission.noteParked()
                let reason = isPressing ? "the host is short of memory" : "guests that it waits for need its room"
                recorder.emit(.guestParked(guest: plan.guests[guest].guest.name, reason: reason))
            })
        let boots = Admission(memory: ByteCount(.max), seats: max(options.boots, 1))
        let watch = MemoryWatch(meter: options.meter, admission: admission, boots: boots, recorder: recorder)
        poke.fulfil(scheduler)
        recorder.emit(.fleetAdmitted(waves: plan.waves, note: admissionNote))

        let labDeadline = plan.lab.timeouts.lab.map { ContinuousClock.now + $0 * options.timeFactor }
        let networks: LabNetworks
        do {
            networks = try LabNetworks(plan, in: journal.directory)
        } catch {
            return Self.abandon(plan, because: error, recorder: recorder)
        }
        defer { networks.close() }
        let tasks = TaskRunner(
            lab: plan.lab, timeFactor: options.timeFactor, labDeadline: labDeadline, results: results,
            recorder: recorder, board: GuestBoard(plan.guests.map(\.guest.name)), scripting: scripting)
        let shares = GuestShares(groups: plan.lab.groups, journal: journal, recorder: recorder)
        defer { shares.close() }
        let context = Context(
            plan: plan,
            host: GuestHost(
                care: [OutOfMemoryOrder(), shares] + (isWatched ? [watch] : []), recorder: recorder, results: results,
                journal: journal, networks: networks,
                goldens: goldens.map {
                    Goldens(in: $0, limits: tasks.limits, recorder: recorder, journal: journal)
                }),
            timeFactor: options.timeFactor, scheduler: scheduler, admission: admission, boots: boots, tasks: tasks,
            recorder: recorder, tally: tally, stopOnFailure: options.stopOnFailure)

        await withTaskCancellationHandler {
            await work(context, labDeadline, watch: isWatched ? watch : nil)
        } onCancel: {
            recorder.emit(.interrupted(reason: "the run was interrupted"))
            Task { await scheduler.stop(reason: "the run was interrupted") }
        }
        // Whatever became of the guests, every run has its result before the last event.
        await scheduler.stop(reason: Task.isCancelled ? "the run was interrupted" : "no guest was left for it")
        let status = Task.isCancelled ? ExitStatus.interrupted : tally.status
        recorder.emit(.admissionEnded(admission.summary))
        recorder.emit(.runFinished(RunSummary(status: status, duration: recorder.clock.elapsed, counts: tally.counts)))
        return status
    }

    /// Records a run that could not begin: every task is an error for the reason given (skipped when it was cancelled).
    public static func abandon(_ plan: RunPlan, because error: any Error, recorder: RunRecorder) -> ExitStatus {
        if error is CancellationError {
            return recorder.skip(plan.runs, because: interruption)
        }
        let reason = sentence(of: error)
        recorder.emit(.note(level: .warning, message: reason))
        return recorder.abandon(plan.runs, .error, .infrastructure, because: reason)
    }

    /// What is said of a run that a signal ended.
    public static let interruption = "the run was interrupted"

    /// Strict admission has nothing to measure.
    private var isWatched: Bool { plan.lab.admission == .overcommit }

    private func work(_ context: Context, _ labDeadline: ContinuousClock.Instant?, watch: MemoryWatch?) async {
        await context.scheduler.settle()
        let busy = plan.guestsWithTasks
        await withTaskGroup(of: Void.self) { group in
            if let labDeadline {
                group.addTask {
                    guard (try? await Task.sleep(until: labDeadline, clock: .continuous)) != nil else { return }
                    await context.timeIsUp()
                }
            }
            if let watch {
                group.addTask { await watch.run { await context.scheduler.makeRoom() } }
            }
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
            group.cancelAll()
        }
    }

    private var admissionNote: String? {
        if plan.lab.admission == .overcommit, plan.totalCost > plan.budget.limit {
            return "the fleet was promised \(plan.totalCost), and \(plan.budget.limit) may be used "
                + "(\(plan.budget.explanation)): guests are admitted by what they come to use"
        }
        guard plan.waves > 1 else { return nil }
        return "the fleet needs \(plan.totalCost), \(plan.budget.limit) may be used (\(plan.budget.explanation)): "
            + "guests take turns"
    }

    /// What the parts of a run share.
    struct Context: Sendable {
        let plan: RunPlan
        let host: GuestHost
        let timeFactor: Double
        let scheduler: Scheduler
        let admission: Admission
        /// Bounds how many guests boot at the same time.
        let boots: Admission
        let tasks: TaskRunner
        let recorder: RunRecorder
        let tally: Tally
        let stopOnFailure: Bool

        /// Records the end of one run of a task. No further run starts after a failure that stops the lab.
        func finished(_ result: TaskResult) async {
            tally.count(result.outcome)
            recorder.emit(.taskFinished(result))
            if !result.outcome.isSuccess { await stopIfWanted() }
        }

        /// A guest could not be used: infrastructure failed even if it cost no task.
        func guestFailed() async {
            tally.guestFailed()
            await stopIfWanted()
        }

        /// The lab's time is up: nothing more starts. Whoever notices first, a timer or a task that was cut short, says so.
        func timeIsUp() async {
            if tally.deadlinePassed() { recorder.emit(.interrupted(reason: "the lab's time is up")) }
            await scheduler.stop(reason: "the lab's time was up")
        }

        private func stopIfWanted() async {
            if stopOnFailure { await scheduler.stop(reason: "an earlier task failed") }
        }
    }

    /// Counts outcomes as they come.
    final class Tally: Sendable {
        private struct State {
            var counts: [Outcome: Int] = [:]
            var guestFailed = false
            var deadlinePassed = false
        }

        private let state = Mutex(State())

        func count(_ outcome: Outcome) { state.withLock { $0.counts[outcome, default: 0] += 1 } }
        func guestFailed() { state.withLock { $0.guestFailed = true } }
        /// Says whether it is news.
        func deadlinePassed() -> Bool {
            state.withLock { state in
                defer { state.deadlinePassed = true }
                return !state.deadlinePassed
            }
        }

        var counts: [String: Int] {
            state.withLock { Dictionary(uniqueKeysWithValues: $0.counts.map { ($0.key.rawValue, $0.value) }) }
        }

        var status: ExitStatus {
            state.withLock { state in
                var outcomes = Array(state.counts.keys)
                if state.guestFailed { outcomes.append(.error) }
                if state.deadlinePassed { outcomes.append(.timeout) }
                return ExitStatus.gravest(of: outcomes)
            }
        }
    }
}

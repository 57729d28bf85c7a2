/// Builds a run's report from its events.
struct RunReportBuilder {
    private var known = RunReport()
    private var guests: [GuestReport] = []
    private var guestPlaces: [String: Int] = [:]
    private var declared: [TaskID] = []
    /// Where a result belongs. A task for any free guest is declared without one.
    private var taskPlaces: [TaskID: Int] = [:]
    private let results: TaskSpool
    /// Steps of scripts, by the task run they belong to.
    private var steps: [TaskID: [StepResult]] = [:]
    private static let stepLimit = 1000
    /// How much of a passed task's output is kept, in characters: a thousand of them must stay small.
    private static let passedTailLimit = 1024

    /// A builder that keeps finished tasks in a file in `folder`, or in memory.
    init(spoolingIn folder: String? = nil) { results = TaskSpool(in: folder) }

    mutating func receive(_ recorded: RecordedEvent) {
        known.duration = recorded.elapsed
        switch recorded.event {
        case .runStarted(let description): start(description, at: recorded)
        case .guestDeclared(let description): declare(description)
        case .guestBooting(let guest, let backend, let boot):
            update(guest) {
                $0.guest.backend = backend
                $0.boot = boot
                $0.console = RunDirectory.consoleLog(guest)
            }
        case .guestReady(let guest, let seconds):
            update(guest) { $0.bootSeconds = seconds }
        case .guestEnded(let guest, let orderly, let reason):
            update(guest) {
                // The first message about a guest's failure names the cause; its end is a consequence.
                guard $0.end != "failed" else { return }
                $0.end = orderly ? "orderly" : "unexpected"
                $0.reason = reason
            }
        case .guestReplaced(let guest, _):
            update(guest) { $0.replacements = ($0.replacements ?? 0) + 1 }
        case .guestFailed(let guest, let outcome, let message, let consoleTail):
            update(guest) {
                $0.end = "failed"
                $0.reason = message
                $0.outcome = outcome
                $0.consoleTail = consoleTail
            }
        case .stepFinished(let step):
            // A lab of a million steps keeps the first; events.jsonl has all.
            if steps[step.id.task.place, default: []].count < Self.stepLimit {
                var step = step
                if step.outcome.isSuccess { step.outputTail = "" }
                steps[step.id.task.place, default: []].append(step)
            }
        case .taskFinished(let result): finish(result)
        case .note(.warning, let message): known.warnings.append(message)
        case .interrupted(let reason): known.interrupted = reason
        case .admissionEnded(let summary): known.admission = summary
        case .runFinished(let summary):
            known.status = summary.status.word
            known.exitStatus = summary.status.rawValue
            known.duration = summary.duration
        case .imageProgress, .fleetAdmitted, .guestQueued, .guestParked, .taskStarted, .stepStarted, .taskNote,
            .note(.info, _):
            break
        }
    }

    var report: RunReport {
        var report = head
        report.tasks = Array(tasks)
        return report
    }

    /// The same without the tasks.
    var head: RunReport {
        var head = known
        if head.exitStatus == nil, head.interrupted != nil { head.status = ExitStatus.interrupted.word }
        head.guests = guests
        for outcome in Outcome.allCases { head.counts[outcome.rawValue] = 0 }
        for place in declared.indices {
            head.counts[(results.outcome(at: place) ?? .skipped).rawValue, default: 0] += 1
        }
        return head
    }

    /// The tasks, each created when iterated. A declared task run without a result is skipped.
    var tasks: some Sequence<TaskResult> {
        declared.indices.lazy.map { [declared, results, known] place in
            results.result(at: place)
                ?? TaskResult(
                    id: declared[place], outcome: .skipped, started: known.duration, attempts: 0,
                    message: "did not run: the run ended first")
        }
    }

    private mutating func start(_ description: RunDescription, at recorded: RecordedEvent) {
        known.version = description.version
        known.lab = description.lab
        known.cell = description.cell
        known.file = description.file
        known.host = description.host
        known.started = timestamp(recorded.time)
        for guest in description.guests { declare(guest) }
        for id in description.tasks { declare(id) }
    }

    private mutating func declare(_ guest: GuestDescription) {
        update(guest.name) { $0.guest = guest }
    }

    private mutating func update(_ guest: String, _ change: (inout GuestReport) -> Void) {
        let place = guestPlaces[guest] ?? guests.count
        if place == guests.count {
            guests.append(GuestReport(guest: GuestDescription(name: guest)))
            guestPlaces[guest] = place
        }
        change(&guests[place])
    }

    private mutating func declare(_ id: TaskID) {
        taskPlaces[id.place] = declared.count
        declared.append(id)
    }

    private mutating func finish(_ result: TaskResult) {
        var anywhere = result.id.place
        anywhere.guest = nil
        if taskPlaces[result.id.place] == nil, taskPlaces[anywhere] == nil { declare(result.id) }
        if let place = taskPlaces[result.id.place] ?? taskPlaces[anywhere] {
            var result = result
            result.steps = steps.removeValue(forKey: result.id.place) ?? []
            if result.outcome == .passed {
                result.outputTail = String(result.outputTail.unicodeScalars.suffix(Self.passedTailLimit))
            }
            results.keep(result, at: place)
        }
    }
}

extension TaskID {
    /// The identity of a task run: all but the number of repetitions.
    fileprivate var place: TaskID { TaskID(task: task, guest: guest, index: index) }
}

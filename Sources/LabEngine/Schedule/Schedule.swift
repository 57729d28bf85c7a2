import LabResults
import LabSpec

/// Which task runs where, and when: a plain value that the scheduler's actor holds.
///
/// A *run* is one task on one guest in one repetition. A guest takes one run at a time, in the order of the file among
/// those that are ready; a task is ready when all it needs has ended well. Guests and tasks are indices into the plan.
struct Schedule {
    /// One run, as the schedule hands it out.
    struct Run: Hashable {
        var task: Int
        /// From 1.
        var index: Int
        /// The guest it is bound to; nil where any free guest of the target may take it.
        var pinned: Int?
        /// Which of its task's `any` targets it belongs to, where it is bound to no guest.
        var queue = 0
        /// From 1.
        var attempt = 1
        /// How the attempt before this one went.
        var before: Attempt?
    }

    /// How an attempt went that is to be tried again.
    struct Attempt: Hashable {
        var outcome: Outcome
        var message: String
        /// Its result, behind those of the attempts before it.
        var results: [TaskResult] = []
    }

    /// What a guest does next.
    enum Decision: Hashable {
        case run(Run)
        /// Nothing now, but something may become ready.
        case wait
        /// Nothing is left that this guest could ever run.
        case nothing
    }

    /// A run that will never start, and why.
    struct Abandoned: Hashable {
        var run: Run
        var outcome: Outcome
        var reason: String
    }

    private enum TaskState {
        case waiting
        case ready
        case ended(success: Bool)
    }

    private struct TaskEntry {
        let name: String
        let needs: [Int]
        let always: Bool
        var state = TaskState.waiting
        /// Runs bound to a guest, by guest, in order.
        var pinned: [Int: ArraySlice<Run>] = [:]
        /// Runs for any guest of a set, in order; one queue per `any` target.
        var shared: [(guests: Set<Int>, runs: ArraySlice<Run>)] = []
        /// Runs not yet ended.
        var open = 0
        var failed = false
    }

    private var tasks: [TaskEntry]
    /// For each guest the tasks that may run on it, in the order of the file, without those at the front that have ended.
    private var tasksOfGuest: [ArraySlice<Int>]
    private var lostGuests: [Int: String] = [:]
    private var stopped: String?
    /// Runs given up since they were last taken.
    private var abandoned: [Abandoned] = []

    /// How many runs have not ended yet.
    private(set) var openRuns = 0

    /// Grows with everything that may give a guest other than the one concerned something to do, or take it away.
    private(set) var changes = 0

    /// A schedule for the lab's tasks over guests given by name in the plan's order.
    init(tasks labTasks: [LabTask], guests: [String]) {
        let guestIndex = Dictionary(guests.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let taskIndex = Dictionary(labTasks.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        var tasksOfGuest = [[Int]](repeating: [], count: guests.count)
        tasks = []
        for (number, task) in labTasks.enumerated() {
            var entry = TaskEntry(
                name: task.name, needs: task.needs.compactMap { taskIndex[$0] }, always: task.condition == .always)
            var reachable = Set<Int>()
            for target in task.targets {
                switch target {
                case .every(let names):
                    for guest in names.compactMap({ guestIndex[$0] }) where reachable.insert(guest).inserted {
                        let runs = (1...max(task.repetitions, 1)).map { Run(task: number, index: $0, pinned: guest) }
                        entry.pinned[guest, default: []] += runs
                        entry.open += runs.count
                    }
                case .any(let names):
                    let set = Set(names.compactMap { guestIndex[$0] })
                    let queue = entry.shared.count
                    let runs = (1...max(task.repetitions, 1)).map {
                        Run(task: number, index: $0, pinned: nil, queue: queue)
                    }
                    entry.shared.append((set, runs[...]))
                    entry.open += runs.count
                    reachable.formUnion(set)
                }
            }
            for guest in reachable { tasksOfGuest[guest].append(number) }
            openRuns += entry.open
            tasks.append(entry)
        }
        self.tasksOfGuest = tasksOfGuest.map { $0[...] }
        settle()
    }

    /// Whether every run has ended.
    var isFinished: Bool { openRuns == 0 }

    /// The next run for a guest that is free. A returned run counts as running until `finish`, `retry` or `giveBack` is
    /// told of it.
    mutating func next(for guest: Int) -> Decision {
        while let first = tasksOfGuest[guest].first, case .ended = tasks[first].state {
            tasksOfGuest[guest].removeFirst()
        }
        let decision = peek(for: guest)
        if case .run(let run) = decision {
            if run.pinned == nil {
                tasks[run.task].shared[run.queue].runs.removeFirst()
            } else {
                tasks[run.task].pinned[guest]?.removeFirst()
            }
        }
        return decision
    }

    /// What `next` would say, taking nothing.
    func peek(for guest: Int) -> Decision {
        if lostGuests[guest] != nil { return .nothing }
        var hope = false
        for number in tasksOfGuest[guest] {
            if case .ended = tasks[number].state { continue }
            let ready = if case .ready = tasks[number].state { true } else { false }
            if let run = tasks[number].pinned[guest]?.first {
                if ready { return .run(run) }
                hope = true
            }
            for target in tasks[number].shared where target.guests.contains(guest) {
                if ready, let run = target.runs.first { return .run(run) }
                // An empty queue may fill again: a run that another guest dies with comes back for a retry.
                hope = true
            }
        }
        return hope ? .wait : .nothing
    }

    /// A run handed out has ended.
    mutating func finish(_ run: Run, success: Bool) {
        close(run, success: success)
        if tasks[run.task].open == 0 { settle() }
    }

    /// A run handed out goes back to the head of its queue for another attempt.
    mutating func retry(_ run: Run, before: Attempt) {
        var again = run
        again.attempt += 1
        again.before = before
        giveBack(again)
    }

    /// A run handed out goes back to the head of its queue as it is.
    mutating func giveBack(_ run: Run) {
        if let pinned = run.pinned {
            var runs = tasks[run.task].pinned[pinned, default: []]
            runs.insert(run, at: runs.startIndex)
            tasks[run.task].pinned[pinned] = runs
        } else {
            let start = tasks[run.task].shared[run.queue].runs.startIndex
            tasks[run.task].shared[run.queue].runs.insert(run, at: start)
        }
        changes += 1
        if let stopped {
            giveUpAll(of: run.task, .skipped, stopped)
        } else {
            giveUpHopeless(of: run.task)
        }
        settle()
    }

    /// Whether a run that this guest could take waits for another attempt.
    func hasRetry(for guest: Int) -> Bool {
        guard lostGuests[guest] == nil else { return false }
        return tasksOfGuest[guest].contains { number in
            if (tasks[number].pinned[guest]?.first?.attempt ?? 1) > 1 { return true }
            return tasks[number].shared.contains { $0.guests.contains(guest) && ($0.runs.first?.attempt ?? 1) > 1 }
        }
    }

    /// A guest is gone for good: runs that only it could have taken are given up.
    mutating func lose(guest: Int, reason: String) {
        lostGuests[guest] = reason
        changes += 1
        for number in tasksOfGuest[guest] { giveUpHopeless(of: number, lost: guest) }
        settle()
    }

    /// No further run is handed out: what has not started is given up as skipped.
    mutating func stop(reason: String) {
        guard stopped == nil else { return }
        stopped = reason
        changes += 1
        for number in tasks.indices { giveUpAll(of: number, .skipped, reason) }
        settle()
    }

    /// The runs given up since the last call, in order.
    mutating func takeAbandoned() -> [Abandoned] {
        defer { abandoned = [] }
        return abandoned
    }

    private mutating func close(_ run: Run, success: Bool) {
        tasks[run.task].open -= 1
        openRuns -= 1
        if !success { tasks[run.task].failed = true }
    }

    private mutating func giveUp(_ run: Run, _ outcome: Outcome, _ reason: String) {
        // What was tried before is the run's outcome; that it was not tried again is only the end of its story.
        let (outcome, reason) =
            run.before.map { ($0.outcome, "\($0.message); not tried again: \(reason)") } ?? (outcome, reason)
        abandoned.append(Abandoned(run: run, outcome: outcome, reason: reason))
        close(run, success: false)
    }

    /// Carries every change to its end: tasks become ready, end, or are given up, which may decide others in turn.
    private mutating func settle() {
        var changed = true
        while changed {
            changed = false
            for number in tasks.indices {
                if case .ended = tasks[number].state { continue }
                if case .waiting = tasks[number].state {
                    switch verdictOnNeeds(of: number) {
                    case .wait: break
                    case .go:
                        tasks[number].state = .ready
                        changed = true
                    case .skip(let reason): giveUpAll(of: number, .skipped, reason)
                    }
                }
                if tasks[number].open == 0 {
                    tasks[number].state = .ended(success: !tasks[number].failed)
                    changed = true
                }
            }
            if changed { changes += 1 }
        }
    }

    private enum Verdict {
        case wait, go
        case skip(String)
    }

    private func verdictOnNeeds(of number: Int) -> Verdict {
        var bad: [String] = []
        for need in tasks[number].needs {
            guard case .ended(let success) = tasks[need].state else { return .wait }
            if !success { bad.append(tasks[need].name) }
        }
        guard !bad.isEmpty, !tasks[number].always else { return .go }
        return .skip("needs \(bad.joined(separator: ", ")), which did not pass")
    }

    private mutating func giveUpAll(of number: Int, _ outcome: Outcome, _ reason: String) {
        let pinned = tasks[number].pinned.sorted { $0.key < $1.key }.flatMap(\.value)
        let shared = tasks[number].shared.flatMap(\.runs)
        tasks[number].pinned = [:]
        for queue in tasks[number].shared.indices { tasks[number].shared[queue].runs = [] }
        for run in pinned + shared { giveUp(run, outcome, reason) }
    }

    /// Gives up the runs of a task that no guest is left for; `lost` names the guest that is newly lost, where one is.
    private mutating func giveUpHopeless(of number: Int, lost guest: Int? = nil) {
        for guest in guest.map({ [$0] }) ?? tasks[number].pinned.keys.sorted() {
            guard let reason = lostGuests[guest] else { continue }
            for run in tasks[number].pinned.removeValue(forKey: guest) ?? [] { giveUp(run, .error, reason) }
        }
        for queue in tasks[number].shared.indices {
            let guests = tasks[number].shared[queue].guests
            guard let last = guests.max(), guests.allSatisfy({ lostGuests[$0] != nil }) else { continue }
            let runs = tasks[number].shared[queue].runs
            tasks[number].shared[queue].runs = []
            for run in runs { giveUp(run, .error, lostGuests[last] ?? "no guest is left") }
        }
    }
}

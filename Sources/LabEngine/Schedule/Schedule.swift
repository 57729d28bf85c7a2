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
        /// From 1.
        var attempt = 1
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
    /// For each guest the tasks that may run on it, in the order of the file.
    private let tasksOfGuest: [[Int]]
    private var lostGuests: [Int: String] = [:]
    private var stopped: String?
    /// Runs given up since they were last taken.
    private var abandoned: [Abandoned] = []

    /// How many runs have not ended yet.
    private(set) var openRuns = 0

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
                    let runs = (1...max(task.repetitions, 1)).map { Run(task: number, index: $0, pinned: nil) }
                    entry.shared.append((set, runs[...]))
                    entry.open += runs.count
                    reachable.formUnion(set)
                }
            }
            for guest in reachable { tasksOfGuest[guest].append(number) }
            openRuns += entry.open
            tasks.append(entry)
        }
        self.tasksOfGuest = tasksOfGuest
        settle()
    }

    /// Whether every run has ended.
    var isFinished: Bool { openRuns == 0 }

    /// The next run for a guest that is free. A returned run counts as running until `finish` or `retry` is told of it.
    mutating func next(for guest: Int) -> Decision {
        let found = find(for: guest)
        if case .run(let run) = found.decision {
            if let queue = found.queue {
                tasks[run.task].shared[queue].runs.removeFirst()
            } else {
                tasks[run.task].pinned[guest]?.removeFirst()
            }
        }
        return found.decision
    }

    /// What `next` would say, taking nothing.
    func peek(for guest: Int) -> Decision { find(for: guest).decision }

    /// The decision, and the shared queue of its run (nil for a run bound to the guest).
    private func find(for guest: Int) -> (decision: Decision, queue: Int?) {
        var hope = false
        for number in tasksOfGuest[guest] {
            let entry = tasks[number]
            if case .ended = entry.state { continue }
            let ready = if case .ready = entry.state { true } else { false }
            if let run = entry.pinned[guest]?.first {
                if ready { return (.run(run), nil) }
                hope = true
            }
            for (queue, target) in entry.shared.enumerated() where target.guests.contains(guest) {
                if ready, let run = target.runs.first { return (.run(run), queue) }
                // An empty queue may fill again: a run that another guest dies with comes back for a retry.
                hope = true
            }
        }
        return (hope ? .wait : .nothing, nil)
    }

    /// A run handed out has ended.
    mutating func finish(_ run: Run, success: Bool) {
        close(run, success: success)
        settle()
    }

    /// A run handed out goes back to the head of its queue for another attempt.
    mutating func retry(_ run: Run, of guest: Int) {
        var again = run
        again.attempt += 1
        if let pinned = run.pinned {
            tasks[run.task].pinned[pinned, default: []].insert(
                again, at: tasks[run.task].pinned[pinned]?.startIndex ?? 0)
        } else if let queue = tasks[run.task].shared.firstIndex(where: { $0.guests.contains(guest) }) {
            tasks[run.task].shared[queue].runs.insert(again, at: tasks[run.task].shared[queue].runs.startIndex)
        }
        settle()
    }

    /// Whether a run that this guest could take waits for another attempt.
    func hasRetry(for guest: Int) -> Bool {
        if case .run(let run) = peek(for: guest) { return run.attempt > 1 }
        return false
    }

    /// A guest is gone for good: runs that only it could have taken are given up.
    mutating func lose(guest: Int, reason: String) {
        lostGuests[guest] = reason
        settle()
    }

    /// No further run is handed out: what has not started is given up as skipped.
    mutating func stop(reason: String) {
        stopped = stopped ?? reason
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
                if let stopped {
                    giveUpAll(of: number, .skipped, stopped)
                } else {
                    giveUpLost(of: number)
                    if case .waiting = tasks[number].state {
                        switch verdictOnNeeds(of: number) {
                        case .wait: break
                        case .go:
                            tasks[number].state = .ready
                            changed = true
                        case .skip(let reason): giveUpAll(of: number, .skipped, reason)
                        }
                    }
                }
                if tasks[number].open == 0 {
                    tasks[number].state = .ended(success: !tasks[number].failed)
                    changed = true
                }
            }
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

    private mutating func giveUpLost(of number: Int) {
        guard !lostGuests.isEmpty else { return }
        for (guest, reason) in lostGuests.sorted(by: { $0.key < $1.key }) {
            guard let runs = tasks[number].pinned.removeValue(forKey: guest) else { continue }
            for run in runs { giveUp(run, .error, reason) }
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

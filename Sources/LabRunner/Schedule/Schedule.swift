import LabResults
import LabSpec

/// Which task runs where and when: a plain value. A *run* is one task on one guest in one repetition. A guest takes one run at a
/// time, in file order among those that are ready; a task is ready when all its needs have succeeded. Guests and tasks are indices
/// into the plan.
struct Schedule {
    enum TaskState {
        case waiting
        case ready
        case ended(success: Bool)
    }

    struct TaskEntry {
        let name: String
        let needs: [Int]
        let always: Bool
        /// Whether each run resets its guest.
        let resets: Bool
        var state = TaskState.waiting
        /// Runs bound to a guest, by guest, in order.
        var pinned: [Int: ArraySlice<Run>] = [:]
        /// Runs for any guest of a set, in order; one queue per `any` target.
        var shared: [(guests: Set<Int>, runs: ArraySlice<Run>)] = []
        /// Guests that can no longer take its runs, with the reason: the state that the runs depend on was lost.
        var barred: [Int: String] = [:]
        /// Runs not yet ended.
        var open = 0
        var failed = false
    }

    /// Only cleanup runs are handed out.
    struct Stop {
        var reason: String
        /// The guests on which tasks that always run may still run.
        var guests: Set<Int>
    }

    // Mutated only here and in the extension that gives runs up.
    var tasks: [TaskEntry]
    /// By guest, the tasks that may run on it, in file order, without leading ones that have ended.
    var tasksOfGuest: [ArraySlice<Int>]
    /// By guest, the tasks that have run on it since it came up.
    var held: [Set<Int>]
    var lostGuests: [Int: String] = [:]
    var stop: Stop?
    /// Runs given up since the last `takeAbandoned`.
    var abandoned: [Abandoned] = []

    /// The number of runs that have not ended.
    var openRuns = 0

    /// Incremented by every change that may affect the work of another guest.
    var changes = 0

    /// A schedule of the lab's tasks; `guests` are names in the plan's order.
    init(tasks labTasks: [LabTask], guests: [String]) {
        let guestIndex = Dictionary(guests.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let taskIndex = Dictionary(labTasks.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        var tasksOfGuest = [[Int]](repeating: [], count: guests.count)
        tasks = []
        for (number, task) in labTasks.enumerated() {
            var entry = TaskEntry(
                name: task.name, needs: task.needs.compactMap { taskIndex[$0] }, always: task.condition == .always,
                resets: task.reset == .snapshot)
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
        held = Array(repeating: [], count: guests.count)
        settle()
    }

    var isFinished: Bool { openRuns == 0 }

    /// The next run for a free guest. It counts as running until `finish`, `retry` or `giveBack`.
    mutating func next(for guest: Int) -> Decision {
        while let first = tasksOfGuest[guest].first, case .ended = tasks[first].state {
            tasksOfGuest[guest].removeFirst()
        }
        let decision = peek(for: guest)
        if case .run(let run) = decision {
            held[guest].insert(run.task)
            if run.pinned == nil {
                tasks[run.task].shared[run.queue].runs.removeFirst()
            } else {
                tasks[run.task].pinned[guest]?.removeFirst()
            }
        }
        return decision
    }

    /// The result of `next`, without taking the run.
    func peek(for guest: Int) -> Decision {
        if lostGuests[guest] != nil || stop?.guests.contains(guest) == false { return .nothing }
        var hope = false
        for number in tasksOfGuest[guest] {
            if case .ended = tasks[number].state { continue }
            if tasks[number].barred[guest] != nil { continue }
            let ready = if case .ready = tasks[number].state { true } else { false }
            if let run = tasks[number].pinned[guest]?.first {
                if ready { return .run(run) }
                hope = true
            }
            for target in tasks[number].shared where target.guests.contains(guest) {
                if ready, let run = target.runs.first { return .run(run) }
                // An empty queue may fill again: a run whose guest is lost is retried.
                hope = true
            }
        }
        return hope ? .wait : .nothing
    }

    mutating func finish(_ run: Run, success: Bool) {
        close(run, success: success)
        if tasks[run.task].open == 0 { settle() }
    }

    /// A run goes back to the head of its queue for another attempt.
    mutating func retry(_ run: Run, before: Attempt) {
        var again = run
        again.attempt += 1
        again.before = before
        giveBack(again)
    }

    /// A run goes back unchanged to the head of its queue.
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
        giveUpHopeless(of: run.task)
        if let stop { giveUpStopped(of: run.task, stop) }
        settle()
    }

    /// Whether a retry waits that this guest could take.
    func hasRetry(for guest: Int) -> Bool {
        guard lostGuests[guest] == nil else { return false }
        return tasksOfGuest[guest].contains { number in
            if (tasks[number].pinned[guest]?.first?.attempt ?? 1) > 1 { return true }
            return tasks[number].shared.contains { $0.guests.contains(guest) && ($0.runs.first?.attempt ?? 1) > 1 }
        }
    }

    mutating func close(_ run: Run, success: Bool) {
        tasks[run.task].open -= 1
        openRuns -= 1
        if !success { tasks[run.task].failed = true }
    }

    /// Propagates changes until stable: tasks become ready, end or are given up, which may affect others.
    mutating func settle() {
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
}

import HostResources
import LabResults
import Quantities

/// Who does what next: the schedule, the guests that ask it for orders, and who of them makes room for others. A value: each change
/// returns what is to be done about it.
struct Dispatch {
    /// What a free guest is told.
    enum Order: Hashable {
        /// Run this.
        case run(Schedule.Run)
        /// Other guests need this one's memory: make room. `early` when the guest still had runs to wait for, so that what
        /// its tasks left in it is lost.
        case makeRoom(early: Bool)
        /// Something happened to the guest itself: see what.
        case look
        /// The lab is done.
        case finished
    }

    /// What is to be done.
    enum Effect: Hashable {
        /// A free guest, which asked, has its order.
        case order(guest: Int, Order)
        /// A guest that is down, and asked whether to boot, has its answer.
        case boot(guest: Int, Bool)
        /// A run will never start.
        case abandon(Schedule.Abandoned)
        /// A guest is sent away before its time. It is `isPressing` when the host itself is short of memory.
        case park(guest: Int, isPressing: Bool)
        /// Every run has ended.
        case finish
    }

    /// What guests that wait for memory lack, or the host, and what a guest's departure gives back.
    struct Need {
        var shortage: Admission.Shortage
        var reclaimable: (Int) -> ByteCount
    }

    private(set) var schedule: Schedule
    /// Whether there is room for all guests at once: then they boot while they wait for their first run.
    private var isRoomy: Bool
    /// Guests that are up and have nothing to run, and those that are down and have nothing to run.
    private var idle: Set<Int> = []
    private var absent: Set<Int> = []
    /// Guests that hold memory, those of them that are up, and those that are on their way out.
    private var present: Set<Int> = []
    private var up: Set<Int> = []
    private var leaving: Set<Int> = []
    /// In what order they came.
    private var arrivals: [Int: Int] = [:]
    private var nextArrival = 0
    /// Guests to which something happened while they were not idle.
    private var recalled: Set<Int> = []
    private var stopReason: String?

    init(_ schedule: Schedule, isRoomy: Bool = false) {
        self.schedule = schedule
        self.isRoomy = isRoomy
    }

    // MARK: Guests

    /// A free, running guest wants its next order: among the effects, or of a later change.
    mutating func next(for guest: Int) -> [Effect] {
        up.insert(guest)
        if recalled.remove(guest) != nil { return [.order(guest: guest, .look)] }
        if let order = order(for: guest) { return [.order(guest: guest, order)] }
        idle.insert(guest)
        return []
    }

    /// A guest that is not running asks whether to boot: true once it has something to run, or there is room for it to wait in;
    /// false once it will never have anything to run. The answer is among the effects, or of a later change.
    mutating func waitForWork(_ guest: Int) -> [Effect] {
        if let answer = hasWork(guest) { return [.boot(guest: guest, answer)] }
        absent.insert(guest)
        return []
    }

    /// A guest has its memory. False when it has nothing to run any more, others having taken it: then it need not boot.
    mutating func arrive(_ guest: Int) -> Bool {
        if present.insert(guest).inserted {
            arrivals[guest] = nextArrival
            nextArrival += 1
        }
        return hasWork(guest) == true
    }

    /// A guest has given its memory back.
    mutating func depart(_ guest: Int) -> [Effect] {
        present.remove(guest)
        arrivals[guest] = nil
        leaving.remove(guest)
        recalled.remove(guest)
        up.remove(guest)
        if let stopReason { schedule.stop(reason: stopReason, cleaningUpOn: up) }
        return settle()
    }

    /// Something happened to a guest that is up: if it is idle it is told to look, else at its next turn.
    mutating func recall(_ guest: Int) -> [Effect] {
        if idle.remove(guest) != nil { return [.order(guest: guest, .look)] }
        if present.contains(guest) { recalled.insert(guest) }
        return []
    }

    /// A guest will not come back.
    mutating func lose(_ guest: Int, reason: String) -> [Effect] {
        schedule.lose(guest: guest, reason: reason)
        return settle()
    }

    /// A guest is lost. True when a fresh one is to take its place; see `Schedule.replace`.
    mutating func replace(_ guest: Int, reason: String) -> (isReplaced: Bool, [Effect]) {
        let isReplaced = schedule.replace(guest: guest, reason: reason)
        return (isReplaced, settle())
    }

    // MARK: Runs

    /// A run has ended.
    mutating func finish(_ run: Schedule.Run, success: Bool) -> [Effect] {
        let before = schedule.changes
        schedule.finish(run, success: success)
        // Most ends concern nobody but the guest, which asks for its next run itself.
        return schedule.changes == before ? [] : settle()
    }

    /// A run goes back for another attempt, `before` being how this one went. Nil when nothing is started any more: then it has
    /// ended.
    mutating func retry(_ run: Schedule.Run, before: Schedule.Attempt) -> [Effect]? {
        if stopReason != nil { return nil }
        schedule.retry(run, before: before)
        return settle()
    }

    /// A run that was handed out and not begun goes back.
    mutating func giveBack(_ run: Schedule.Run) -> [Effect] {
        schedule.giveBack(run)
        return settle()
    }

    /// Nothing more is started; with `cleaningUp`, but tasks that run always, on guests that are up.
    mutating func stop(reason: String, cleaningUp: Bool) -> [Effect] {
        schedule.stop(reason: reason, cleaningUpOn: cleaningUp ? up : [])
        stopReason = stopReason ?? reason
        return settle()
    }

    /// Tells everybody anew.
    mutating func settle() -> [Effect] {
        var effects = schedule.takeAbandoned().map { Effect.abandon($0) }
        if schedule.isFinished { effects.append(.finish) }
        for guest in idle.sorted() {
            guard let order = order(for: guest) else { continue }
            idle.remove(guest)
            effects.append(.order(guest: guest, order))
        }
        for guest in absent.sorted() {
            guard let answer = hasWork(guest) else { continue }
            absent.remove(guest)
            effects.append(.boot(guest: guest, answer))
        }
        return effects
    }

    // MARK: Room

    /// Whether anybody could make room.
    var canMakeRoom: Bool { stopReason == nil && !idle.isEmpty }

    /// Sends away as many idle guests as the next waiting guest needs: first those that have nothing left to run. Those that
    /// wait for other guests keep what their tasks left in them for as long as anybody else gets on, unless the host itself is
    /// short: then the newest go first, which have the least to lose.
    mutating func makeRoom(_ need: Need) -> [Effect] {
        guard canMakeRoom else { return [] }
        var lacking = need.shortage
        var effects: [Effect] = []
        func send(_ guest: Int, early: Bool) {
            idle.remove(guest)
            leaving.insert(guest)
            lacking.cover(need.reclaimable(guest))
            effects.append(.order(guest: guest, .makeRoom(early: early)))
        }
        for guest in leaving { lacking.cover(need.reclaimable(guest)) }
        let candidates =
            lacking.isPressing
            ? idle.sorted { arrivals[$0, default: 0] > arrivals[$1, default: 0] } : idle.sorted()
        for guest in candidates where lacking.isShort && schedule.peek(for: guest) == .nothing {
            send(guest, early: false)
        }
        guard lacking.isPressing || (leaving.isEmpty && present.count == idle.count) else { return effects }
        for guest in candidates where lacking.isShort && idle.contains(guest) {
            // Nobody comes back only to wait for work where there was no memory for it.
            if lacking.isPressing { isRoomy = false }
            effects.append(.park(guest: guest, isPressing: lacking.isPressing))
            send(guest, early: true)
        }
        return effects
    }

    private mutating func order(for guest: Int) -> Order? {
        if schedule.isFinished { return .finished }
        if case .run(let run) = schedule.next(for: guest) { return .run(run) }
        return nil
    }

    private func hasWork(_ guest: Int) -> Bool? {
        if schedule.isFinished { return false }
        switch schedule.peek(for: guest) {
        case .run: return true
        case .wait: return isRoomy ? true : nil
        case .nothing: return false
        }
    }
}

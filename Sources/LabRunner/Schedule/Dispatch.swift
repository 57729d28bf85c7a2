import HostResources
import LabResults
import Quantities

/// Assigns work: holds the schedule, the guests that wait for orders, and the choice of guests to park. A value: each change
/// returns the resulting effects.
struct Dispatch {
    /// An order to an idle guest.
    enum Order: Hashable {
        case run(Schedule.Run)
        /// Leave, because other guests need the memory. `early` when the guest still had runs to wait for, so that its state
        /// must be kept.
        case makeRoom(early: Bool)
        /// The guest's own state changed: check it.
        case look
        /// The lab is done.
        case finished
    }

    enum Effect: Hashable {
        /// A waiting guest gets its order.
        case order(guest: Int, Order)
        /// A guest that is down gets the answer whether to boot.
        case boot(guest: Int, Bool)
        case abandon(Schedule.Abandoned)
        /// A guest is parked or ended early. `isPressing` when the host itself is short of memory.
        case park(guest: Int, isPressing: Bool)
        /// Every run has ended.
        case finish
    }

    /// What waiting guests or the host lack, and what each guest would free by leaving.
    struct Need {
        var shortage: Admission.Shortage
        var reclaimable: (Int) -> ByteCount
    }

    private(set) var schedule: Schedule
    /// Whether all guests fit at once: then they boot before their first run is ready.
    private var isRoomy: Bool
    /// Guests without work: those that are up, and those that are down.
    private var idle: Set<Int> = []
    private var absent: Set<Int> = []
    /// Guests that hold memory; of these, those that are up and those that are leaving.
    private var present: Set<Int> = []
    private var up: Set<Int> = []
    private var leaving: Set<Int> = []
    /// The order in which guests were admitted.
    private var arrivals: [Int: Int] = [:]
    private var nextArrival = 0
    /// Guests whose state changed while they were busy.
    private var recalled: Set<Int> = []
    private var stopReason: String?

    init(_ schedule: Schedule, isRoomy: Bool = false) {
        self.schedule = schedule
        self.isRoomy = isRoomy
    }

    // MARK: Guests

    /// A running guest is free. Its next order is an effect of this or a later change.
    mutating func next(for guest: Int) -> [Effect] {
        up.insert(guest)
        if recalled.remove(guest) != nil { return [.order(guest: guest, .look)] }
        if let order = order(for: guest) { return [.order(guest: guest, order)] }
        idle.insert(guest)
        return []
    }

    /// A guest that is down asks whether to boot: true once it has work, or may wait for work while up; false once it will
    /// never have work. The answer is an effect of this or a later change.
    mutating func waitForWork(_ guest: Int) -> [Effect] {
        if let answer = hasWork(guest) { return [.boot(guest: guest, answer)] }
        absent.insert(guest)
        return []
    }

    /// A guest was admitted. False when it has no work any more and need not boot.
    mutating func arrive(_ guest: Int) -> Bool {
        if present.insert(guest).inserted {
            arrivals[guest] = nextArrival
            nextArrival += 1
        }
        return hasWork(guest) == true
    }

    /// A guest has released its memory.
    mutating func depart(_ guest: Int) -> [Effect] {
        present.remove(guest)
        arrivals[guest] = nil
        leaving.remove(guest)
        recalled.remove(guest)
        up.remove(guest)
        if let stopReason { schedule.stop(reason: stopReason, cleaningUpOn: up) }
        return settle()
    }

    /// A running guest's state changed: it checks now if it is idle, else at its next order.
    mutating func recall(_ guest: Int) -> [Effect] {
        if idle.remove(guest) != nil { return [.order(guest: guest, .look)] }
        if present.contains(guest) { recalled.insert(guest) }
        return []
    }

    /// A guest is lost for good.
    mutating func lose(_ guest: Int, reason: String) -> [Effect] {
        schedule.lose(guest: guest, reason: reason)
        return settle()
    }

    /// A guest is lost. True when it is replaced; see `Schedule.replace`.
    mutating func replace(_ guest: Int, reason: String) -> (isReplaced: Bool, [Effect]) {
        let isReplaced = schedule.replace(guest: guest, reason: reason)
        return (isReplaced, settle())
    }

    // MARK: Runs

    mutating func finish(_ run: Schedule.Run, success: Bool) -> [Effect] {
        let before = schedule.changes
        schedule.finish(run, success: success)
        // Most ends affect only the guest itself, which then asks for its next order.
        return schedule.changes == before ? [] : settle()
    }

    /// A run is to be retried; `before` is the attempt that ended. Nil when nothing is started any more: the run has then ended.
    mutating func retry(_ run: Schedule.Run, before: Schedule.Attempt) -> [Effect]? {
        if stopReason != nil { return nil }
        schedule.retry(run, before: before)
        return settle()
    }

    /// A run that was assigned but not started is returned.
    mutating func giveBack(_ run: Schedule.Run) -> [Effect] {
        schedule.giveBack(run)
        return settle()
    }

    /// Starts no further runs; with `cleaningUp`, only tasks that always run, on guests that are up.
    mutating func stop(reason: String, cleaningUp: Bool) -> [Effect] {
        schedule.stop(reason: reason, cleaningUpOn: cleaningUp ? up : [])
        stopReason = stopReason ?? reason
        return settle()
    }

    /// Decides again for all waiting guests.
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

    /// Whether any guest could leave.
    var canMakeRoom: Bool { stopReason == nil && !idle.isEmpty }

    /// Sends away as many idle guests as the next waiting guest needs, first those without further work. Guests that wait for
    /// others' results keep their state as long as any guest makes progress, unless the host itself is short: then the newest
    /// leave first, as they have the least to lose.
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
            // Under memory pressure guests no longer boot ahead of their work.
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

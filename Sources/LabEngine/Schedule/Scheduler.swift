import HostSystem
import LabResults
import LabSpec
import Quantities

/// The schedule shared by all guests: hands out runs, lets free guests wait, makes idle guests leave their memory to
/// others, and tells when the lab is done.
actor Scheduler {
    /// What a free guest is told.
    enum Order {
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

    /// Fulfilled once no guest need come up any more: every run has ended, or the run is being stopped.
    nonisolated let finished = Completion<Void>()
    /// Fulfilled once the run is being stopped, with the reason.
    nonisolated let stopped = Completion<String>()

    private var schedule: Schedule
    /// What a guest's departure gives back.
    private let worth: @Sendable (Int) -> ByteCount
    /// Whether there is room for all guests at once: then they boot while they wait for their first run.
    private var isRoomy: Bool
    /// Guests that are up and have nothing to run.
    private var idle: [Int: CheckedContinuation<Order, Never>] = [:]
    /// Guests that are down and have nothing to run.
    private var absent: [Int: CheckedContinuation<Bool, Never>] = [:]
    /// Guests that hold memory, those of them that are up, and those that are on their way out.
    private var present: Set<Int> = []
    private var up: Set<Int> = []
    /// In what order they came.
    private var arrivals: [Int: Int] = [:]
    private var nextArrival = 0
    private var leaving: Set<Int> = []
    /// Guests to which something happened while they were not idle.
    private var recalled: Set<Int> = []
    private let shortage: @Sendable () -> Admission.Shortage?
    private let onAbandoned: @Sendable (Schedule.Abandoned) -> Void
    private let onParked: @Sendable (_ guest: Int, _ isPressing: Bool) -> Void

    /// A scheduler over guests whose departures give back what `worth` says. It asks `shortage` what the guests that wait for
    /// memory lack, or the host, and tells `onAbandoned` of each run that will never start, and `onParked` of each guest that
    /// it sends away before its time.
    init(
        schedule: Schedule, worth: @escaping @Sendable (Int) -> ByteCount, isRoomy: Bool = false,
        shortage: @escaping @Sendable () -> Admission.Shortage?,
        onAbandoned: @escaping @Sendable (Schedule.Abandoned) -> Void,
        onParked: @escaping @Sendable (_ guest: Int, _ isPressing: Bool) -> Void = { _, _ in }
    ) {
        self.schedule = schedule
        self.worth = worth
        self.onParked = onParked
        self.isRoomy = isRoomy
        self.shortage = shortage
        self.onAbandoned = onAbandoned
    }

    /// The next order for a free, running guest. Waits while there is nothing to do; ends with `finished`.
    func next(for guest: Int) async -> Order {
        up.insert(guest)
        if recalled.remove(guest) != nil { return .look }
        if let order = decide(guest) { return order }
        return await withCheckedContinuation {
            idle[guest] = $0
            makeRoom()
        }
    }

    /// For a guest that is not running: true once it should boot, because it has something to run or because there is room for
    /// it to wait in; false once it will never have anything to run.
    func waitForWork(_ guest: Int) async -> Bool {
        if let answer = decideWork(guest) { return answer }
        return await withCheckedContinuation { absent[guest] = $0 }
    }

    /// A guest has its memory. False when it has nothing to run any more, others having taken it: then it need not boot.
    func arrive(_ guest: Int) -> Bool {
        if present.insert(guest).inserted {
            arrivals[guest] = nextArrival
            nextArrival += 1
        }
        return decideWork(guest) == true
    }

    /// A guest has given its memory back.
    func depart(_ guest: Int) {
        present.remove(guest)
        arrivals[guest] = nil
        leaving.remove(guest)
        recalled.remove(guest)
        up.remove(guest)
        if let reason = stopped.current { schedule.stop(reason: reason, cleaningUpOn: up) }
        settle()
    }

    /// Something happened to a guest that is up: if it is idle it is told to look, else at its next turn.
    func recall(_ guest: Int) {
        if let waiter = idle.removeValue(forKey: guest) {
            waiter.resume(returning: .look)
        } else if present.contains(guest) {
            recalled.insert(guest)
        }
    }

    /// A run has ended.
    func finish(_ run: Schedule.Run, outcome: Outcome) {
        let before = schedule.changes
        schedule.finish(run, success: outcome.isSuccess)
        // Most ends concern nobody but the guest, which asks for its next run itself.
        if schedule.changes != before { settle() }
    }

    /// A run goes back for another attempt, `before` being how this one went. False when nothing is started any more: then
    /// it has ended.
    func retry(_ run: Schedule.Run, before: Schedule.Attempt) -> Bool {
        if stopped.current != nil { return false }
        schedule.retry(run, before: before)
        settle()
        return true
    }

    /// A run that was handed out and not begun goes back.
    func giveBack(_ run: Schedule.Run) {
        schedule.giveBack(run)
        settle()
    }

    /// Whether a run that this guest could take waits for another attempt.
    func hasRetry(for guest: Int) -> Bool { schedule.hasRetry(for: guest) }

    /// How many guests are up and have nothing to run.
    var idleCount: Int { idle.count }

    /// A guest will not come back.
    func lose(_ guest: Int, reason: String) {
        schedule.lose(guest: guest, reason: reason)
        settle()
    }

    /// A guest is lost. True when a fresh one is to take its place; see `Schedule.replace`.
    func replace(_ guest: Int, reason: String) -> Bool {
        defer { settle() }
        return schedule.replace(guest: guest, reason: reason)
    }

    /// Nothing more is started; with `cleaningUp`, but tasks that run always, on guests that are up.
    func stop(reason: String, cleaningUp: Bool) {
        schedule.stop(reason: reason, cleaningUpOn: cleaningUp ? up : [])
        stopped.fulfil(reason)
        finished.fulfil()
        settle()
    }

    /// Tells everybody anew.
    func settle() {
        for gone in schedule.takeAbandoned() { onAbandoned(gone) }
        if schedule.isFinished { finished.fulfil() }
        for guest in idle.keys.sorted() {
            guard let order = decide(guest) else { continue }
            idle.removeValue(forKey: guest)?.resume(returning: order)
        }
        for guest in absent.keys.sorted() {
            guard let answer = decideWork(guest) else { continue }
            absent.removeValue(forKey: guest)?.resume(returning: answer)
        }
        makeRoom()
    }

    /// Sends away as many idle guests as the next waiting guest needs: first those that have nothing left to run. Those that
    /// wait for other guests keep what their tasks left in them for as long as anybody else gets on, unless the host itself is
    /// short: then the newest go first, which have the least to lose. To be called when a guest begins to wait, and while the
    /// host is short.
    func makeRoom() {
        guard stopped.current == nil, !idle.isEmpty, var lacking = shortage() else { return }
        for guest in leaving { lacking.cover(worth(guest)) }
        let candidates =
            lacking.isPressing
            ? idle.keys.sorted { arrivals[$0, default: 0] > arrivals[$1, default: 0] } : idle.keys.sorted()
        for guest in candidates where lacking.isShort && schedule.peek(for: guest) == .nothing {
            send(guest, away: &lacking, early: false)
        }
        guard lacking.isPressing || (leaving.isEmpty && present.count == idle.count) else { return }
        for guest in candidates where lacking.isShort && idle[guest] != nil {
            // Nobody comes back only to wait for work where there was no memory for it.
            if lacking.isPressing { isRoomy = false }
            onParked(guest, lacking.isPressing)
            send(guest, away: &lacking, early: true)
        }
    }

    private func send(_ guest: Int, away lacking: inout Admission.Shortage, early: Bool) {
        guard let waiter = idle.removeValue(forKey: guest) else { return }
        leaving.insert(guest)
        lacking.cover(worth(guest))
        waiter.resume(returning: .makeRoom(early: early))
    }

    private func decide(_ guest: Int) -> Order? {
        if schedule.isFinished { return .finished }
        if case .run(let run) = schedule.next(for: guest) { return .run(run) }
        return nil
    }

    private func decideWork(_ guest: Int) -> Bool? {
        if schedule.isFinished { return false }
        switch schedule.peek(for: guest) {
        case .run: return true
        case .wait: return isRoomy ? true : nil
        case .nothing: return false
        }
    }
}

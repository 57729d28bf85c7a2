import HostSystem
import LabResults
import LabSpec

/// The schedule shared by all guests: hands out runs, lets free guests wait, and tells when the lab is done.
actor Scheduler {
    /// What a free guest is told.
    enum Order {
        /// Run this.
        case run(Schedule.Run)
        /// Nothing to run for now, and other guests wait for this one's memory: make room.
        case makeRoom
        /// The lab is done.
        case finished
    }

    /// Fulfilled once every run has ended.
    nonisolated let finished = Completion<Bool>()

    private var schedule: Schedule
    private var waiters: [Int: CheckedContinuation<Order, Never>] = [:]
    private var workWaiters: [Int: CheckedContinuation<Bool, Never>] = [:]
    private let memoryIsWanted: @Sendable () -> Bool
    private let onAbandoned: @Sendable (Schedule.Abandoned) -> Void

    /// A scheduler that asks `memoryIsWanted` whether other guests wait for room, and tells `onAbandoned` of each run that
    /// will never start.
    init(
        schedule: Schedule, memoryIsWanted: @escaping @Sendable () -> Bool,
        onAbandoned: @escaping @Sendable (Schedule.Abandoned) -> Void
    ) {
        self.schedule = schedule
        self.memoryIsWanted = memoryIsWanted
        self.onAbandoned = onAbandoned
    }

    /// The next order for a free, running guest. Waits while there is nothing to do; ends with `finished`.
    func next(for guest: Int) async -> Order {
        if let order = decide(guest) { return order }
        return await withCheckedContinuation { waiters[guest] = $0 }
    }

    /// For a guest that is not running: true once it has something to run, false once it never will.
    func waitForWork(_ guest: Int) async -> Bool {
        if let answer = decideWork(guest) { return answer }
        return await withCheckedContinuation { workWaiters[guest] = $0 }
    }

    /// A run has ended.
    func finish(_ run: Schedule.Run, outcome: Outcome) {
        schedule.finish(run, success: outcome.isSuccess)
        settle()
    }

    /// A run goes back for another attempt.
    func retry(_ run: Schedule.Run, of guest: Int) {
        schedule.retry(run, of: guest)
        settle()
    }

    /// Whether a retry is bound to this guest, which must boot anew for it.
    func hasRetry(for guest: Int) -> Bool { schedule.hasRetry(for: guest) }

    /// A guest will not come back.
    func lose(_ guest: Int, reason: String) {
        schedule.lose(guest: guest, reason: reason)
        settle()
    }

    /// Nothing more is started.
    func stop(reason: String) {
        schedule.stop(reason: reason)
        settle()
    }

    /// Something outside changed, such as a guest that began to wait for memory: everybody is told anew.
    func settle() {
        for gone in schedule.takeAbandoned() { onAbandoned(gone) }
        if schedule.isFinished { finished.fulfil(true) }
        for guest in waiters.keys.sorted() {
            guard let order = decide(guest) else { continue }
            waiters.removeValue(forKey: guest)?.resume(returning: order)
        }
        for guest in workWaiters.keys.sorted() {
            guard let answer = decideWork(guest) else { continue }
            workWaiters.removeValue(forKey: guest)?.resume(returning: answer)
        }
    }

    private func decide(_ guest: Int) -> Order? {
        if schedule.isFinished { return .finished }
        switch schedule.next(for: guest) {
        case .run(let run): return .run(run)
        case .wait, .nothing: return memoryIsWanted() ? .makeRoom : nil
        }
    }

    private func decideWork(_ guest: Int) -> Bool? {
        if schedule.isFinished { return false }
        switch schedule.peek(for: guest) {
        case .run: return true
        case .wait: return nil
        case .nothing: return false
        }
    }
}

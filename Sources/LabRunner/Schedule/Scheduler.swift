import HostResources
import HostSystem
import LabResults

/// The dispatch that all guests share: lets them wait for their orders, and performs what a change asks for.
actor Scheduler {
    /// Fulfilled once no guest need come up any more: every run has ended, or the run is being stopped.
    nonisolated let finished = Completion<Void>()
    /// Fulfilled once the run is being stopped, with the reason.
    nonisolated let stopped = Completion<String>()

    private var dispatch: Dispatch
    private let admission: Admission
    private let progress: RunProgress
    private var orders: [Int: CheckedContinuation<Dispatch.Order, Never>] = [:]
    private var answers: [Int: CheckedContinuation<Bool, Never>] = [:]

    /// A scheduler that makes room for the guests that wait at `admission`, and reports runs that will never start.
    init(_ dispatch: Dispatch, admission: Admission, progress: RunProgress) {
        self.dispatch = dispatch
        self.admission = admission
        self.progress = progress
    }

    /// The next order for a free, running guest. Waits while there is nothing to do; ends with `finished`.
    func next(for guest: Int) async -> Dispatch.Order {
        await withCheckedContinuation {
            orders[guest] = $0
            perform(dispatch.next(for: guest))
            if orders[guest] != nil { makeRoom() }
        }
    }

    /// For a guest that is not running: whether it should boot, once that is known.
    func waitForWork(_ guest: Int) async -> Bool {
        await withCheckedContinuation {
            answers[guest] = $0
            perform(dispatch.waitForWork(guest))
        }
    }

    /// A guest has its memory. False when it need not boot any more.
    func arrive(_ guest: Int) -> Bool { dispatch.arrive(guest) }

    /// A guest has given its memory back.
    func depart(_ guest: Int) { settled(dispatch.depart(guest)) }

    /// Something happened to a guest that is up.
    func recall(_ guest: Int) { perform(dispatch.recall(guest)) }

    /// A run has ended.
    func finish(_ run: Schedule.Run, outcome: Outcome) {
        settled(dispatch.finish(run, success: outcome.isSuccess))
    }

    /// A run goes back for another attempt, `before` being how this one went. False when it has ended instead.
    func retry(_ run: Schedule.Run, before: Schedule.Attempt) -> Bool {
        guard let effects = dispatch.retry(run, before: before) else { return false }
        settled(effects)
        return true
    }

    /// A run that was handed out and not begun goes back.
    func giveBack(_ run: Schedule.Run) { settled(dispatch.giveBack(run)) }

    /// Whether a run that this guest could take waits for another attempt.
    func hasRetry(for guest: Int) -> Bool { dispatch.schedule.hasRetry(for: guest) }

    /// A guest will not come back.
    func lose(_ guest: Int, reason: String) { settled(dispatch.lose(guest, reason: reason)) }

    /// A guest is lost. True when a fresh one is to take its place.
    func replace(_ guest: Int, reason: String) -> Bool {
        let (isReplaced, effects) = dispatch.replace(guest, reason: reason)
        settled(effects)
        return isReplaced
    }

    /// Nothing more is started; with `cleaningUp`, but tasks that run always, on guests that are up.
    func stop(reason: String, cleaningUp: Bool) {
        let effects = dispatch.stop(reason: reason, cleaningUp: cleaningUp)
        stopped.fulfil(reason)
        finished.fulfil()
        settled(effects)
    }

    /// Tells everybody anew.
    func settle() { settled(dispatch.settle()) }

    /// Has idle guests make room for those that wait. To be called when a guest begins to wait, and while the host is short.
    func makeRoom() {
        guard dispatch.canMakeRoom, let shortage = admission.shortage else { return }
        perform(
            dispatch.makeRoom(
                Dispatch.Need(shortage: shortage) { [admission, progress] in
                    admission.reclaimable(from: $0) ?? progress.plan.guests[$0].cost
                }))
    }

    private func settled(_ effects: [Dispatch.Effect]) {
        perform(effects)
        makeRoom()
    }

    private func perform(_ effects: [Dispatch.Effect]) {
        for effect in effects {
            switch effect {
            case .order(let guest, let order): orders.removeValue(forKey: guest)?.resume(returning: order)
            case .boot(let guest, let answer): answers.removeValue(forKey: guest)?.resume(returning: answer)
            case .abandon(let gone): progress.abandoned(gone)
            case .park(let guest, let isPressing):
                admission.noteParked()
                progress.parked(guest, isPressing: isPressing)
            case .finish: finished.fulfil()
            }
        }
    }
}

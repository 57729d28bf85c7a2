import HostResources
import HostSystem
import LabResults

/// The dispatch that all guests share: suspends guests until they have orders, and performs effects. `Dispatch` has the calls.
actor Scheduler {
    /// Fulfilled once no guest needs to boot any more: every run has ended, or the run is being stopped.
    nonisolated let finished = Completion<Void>()
    /// Fulfilled once the run is being stopped, with the reason.
    nonisolated let stopped = Completion<String>()

    private var dispatch: Dispatch
    private let admission: Admission
    private let progress: RunProgress
    private var orders: [Int: CheckedContinuation<Dispatch.Order, Never>] = [:]
    private var answers: [Int: CheckedContinuation<Bool, Never>] = [:]

    /// A scheduler that makes room for guests that wait at `admission`, and reports abandoned runs to `progress`.
    init(_ dispatch: Dispatch, admission: Admission, progress: RunProgress) {
        self.dispatch = dispatch
        self.admission = admission
        self.progress = progress
    }

    /// The next order for a free, running guest. Waits until there is one; the last is `finished`.
    func next(for guest: Int) async -> Dispatch.Order {
        await withCheckedContinuation {
            orders[guest] = $0
            perform(dispatch.next(for: guest))
            if orders[guest] != nil { makeRoom() }
        }
    }

    /// Whether a guest that is down should boot, once that is known.
    func waitForWork(_ guest: Int) async -> Bool {
        await withCheckedContinuation {
            answers[guest] = $0
            perform(dispatch.waitForWork(guest))
        }
    }

    func arrive(_ guest: Int) -> Bool { dispatch.arrive(guest) }

    func depart(_ guest: Int) { settled(dispatch.depart(guest)) }

    func recall(_ guest: Int) { perform(dispatch.recall(guest)) }

    func finish(_ run: Schedule.Run, outcome: Outcome) {
        settled(dispatch.finish(run, success: outcome.isSuccess))
    }

    /// A run is to be retried; `before` is the attempt that ended. False when it has ended instead.
    func retry(_ run: Schedule.Run, before: Schedule.Attempt) -> Bool {
        guard let effects = dispatch.retry(run, before: before) else { return false }
        settled(effects)
        return true
    }

    func giveBack(_ run: Schedule.Run) { settled(dispatch.giveBack(run)) }

    func hasRetry(for guest: Int) -> Bool { dispatch.schedule.hasRetry(for: guest) }

    func lose(_ guest: Int, reason: String) { settled(dispatch.lose(guest, reason: reason)) }

    func replace(_ guest: Int, reason: String) -> Bool {
        let (isReplaced, effects) = dispatch.replace(guest, reason: reason)
        settled(effects)
        return isReplaced
    }

    func stop(reason: String, cleaningUp: Bool) {
        let effects = dispatch.stop(reason: reason, cleaningUp: cleaningUp)
        stopped.fulfil(reason)
        finished.fulfil()
        settled(effects)
    }

    func settle() { settled(dispatch.settle()) }

    /// Has idle guests make room for waiting ones. Called when a guest begins to wait, and while the host is short of memory.
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

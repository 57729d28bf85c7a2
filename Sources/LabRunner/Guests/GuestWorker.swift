import Diagnostics
import GuestConsole
import GuestControl
import HostResources
import HostSystem
import LabResults
import LabSpec
import Logging

/// One guest's loop in a run: wait for work and admission, boot, run tasks, then leave when room is needed or the lab is done.
struct GuestWorker: Sendable {
    let number: Int
    let guest: PlannedGuest
    let image: BootableImage
    /// A guest without tasks is booted too: the lab then tests that it comes up.
    let hasTasks: Bool
    let run: LabRun.Context

    private enum End {
        /// Nothing is left for this guest, or the run is being stopped.
        case finished
        /// The machine has ended. The next one starts when there is work for it: restored from this snapshot, or booted.
        case again(from: GuestSnapshot?)
        /// The guest is lost for good.
        case lost
    }

    /// Returns when this guest has nothing left to do, or the run is cancelled.
    func work() async {
        let log = Logger(label: "vmlab.runner", guest: name)
        var parked: GuestSnapshot?
        while !Task.isCancelled {
            if hasTasks {
                guard await run.scheduler.waitForWork(number) else { return }
            }
            let claim = guest.claim(number)
            if let obstacle = run.fleet.admission.obstacle(to: claim) {
                run.recorder.emit(.guestQueued(guest: name, reason: obstacle.words))
            }
            guard await run.fleet.admission.acquire(claim, log: log) else { return }
            let end = await isStillWanted() ? await live(from: parked) : hasTasks ? .again(from: parked) : .finished
            // Release first: parking others is only for what is still lacking then.
            run.fleet.admission.release(claim, log: log)
            await run.scheduler.depart(number)
            switch end {
            case .again(let snapshot) where hasTasks: parked = snapshot
            case .again, .finished, .lost: return
            }
        }
    }

    private var name: String { guest.guest.name }

    /// Whether the guest still has work: other guests may have taken it during the wait for admission.
    private func isStillWanted() async -> Bool {
        let hasWork = await run.scheduler.arrive(number)
        return hasTasks ? hasWork : run.scheduler.stopped.current == nil
    }

    /// The guest is not needed; this is no failure.
    private struct Unwanted: Error {
        let end: End
        /// The reason, for a guest that had begun to boot.
        var reason: String?
    }

    private func live(from parked: GuestSnapshot?) async -> End {
        do {
            return try await run.fleet.withGuest(
                number, guest, image: image, from: parked, hasExchange: mayBeCloned || copiesFiles, isOfFleet: false,
                onLoss: { [scheduler = run.scheduler, number] in await scheduler.recall(number) },
                boot: { start in
                    guard await isStillWanted() else {
                        throw Unwanted(end: hasTasks ? .again(from: parked) : .finished)
                    }
                    return try await whileWanted(start)
                }
            ) { guest in await work(guest, isParked: parked != nil) } ?? .finished
        } catch let unwanted as Unwanted {
            return unwanted.reason.map { end($0, unwanted.end) } ?? unwanted.end
        } catch {
            if Task.isCancelled { return end("interrupted", .finished) }
            await lose(GuestLoss(of: error))
            return .lost
        }
    }

    private func work(_ live: LiveGuest, isParked: Bool) async -> End {
        if isParked { live.move(.use) }
        var hasRun = false
        run.tasks.board.arrive(live)
        defer { run.tasks.board.depart(name) }
        while true {
            switch await nextOrder(live) {
            case .finished:
                return end(run.scheduler.stopped.current == nil ? "the lab is done" : "the run is stopped", .finished)
            case .makeRoom(let early): return await leave(live, early: early)
            case .run(let next):
                if live.loss == nil {
                    hasRun = true
                    await perform(next, on: live)
                    await live.giveUpIfOff("its task left it powered off")
                } else {
                    await run.scheduler.giveBack(next)
                }
            case .look: break
            }
            if let loss = live.loss {
                // A guest on its way back to a snapshot is skipped only when the run ends.
                let isOver = Task.isCancelled || loss.outcome == .skipped
                return isOver ? end("interrupted", .finished) : await handleLoss(loss, hasRun: hasRun)
            }
        }
    }

    /// Waits for the guest's next order. Under overcommit its vCPUs are paused meanwhile: an idle emulated guest uses 0.2 % of
    /// a host CPU, too much for hundreds of guests.
    private func nextOrder(_ guest: LiveGuest) async -> Dispatch.Order {
        guard mayRest else { return await run.scheduler.next(for: number) }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                guard (try? await HostClock.sleep(for: Self.restlessness)) != nil else { return }
                await guest.rest()
            }
            let order = await run.scheduler.next(for: number)
            group.cancelAll()
            return order
        }
    }

    /// How long an idle guest runs before its vCPUs are paused.
    private static let restlessness = Duration.seconds(1)

    /// Whether only its own tasks use the guest: no peers on a network and no scripts.
    private var mayRest: Bool {
        let lab = run.plan.lab
        return lab.admission == .overcommit && image.isCloneable && guest.group.networks.isEmpty
            && !lab.tasks.contains {
                if case .lua = $0.action { return true }
                return $0.expect.predicate != nil
            }
    }

    /// Records the end of a machine that the engine ends on purpose.
    private func end(_ reason: String, _ end: End) -> End {
        run.recorder.emit(.guestEnded(guest: name, orderly: true, reason: reason))
        return end
    }

    /// Leaves to make room for other guests. A guest with work left is parked: saved to a file, to be restored later.
    private func leave(_ guest: LiveGuest, early: Bool) async -> End {
        let reason = "frees memory for a waiting guest"
        guard early, !guest.isFresh else { return end(reason, .again(from: nil)) }
        do {
            let snapshot = try await guest.snapshot(timeout: run.plan.lab.timeouts.boot)
            return end("parked: " + reason, .again(from: snapshot))
        } catch {
            if Task.isCancelled { return end("interrupted", .finished) }
            run.recorder.emit(
                .note(
                    level: .warning,
                    message:
                        "\(name) is stopped to free memory for guests that it waits for, and boots again afterwards: "
                        + "what its tasks left in it is lost (\(sentence(of: error)))"))
            return end(reason, .again(from: nil))
        }
    }

    /// Handles the loss of a guest that was up. If it had a run since it came up, it is replaced for runs that do not depend on
    /// its state; so there are never more replacements than runs.
    private func handleLoss(_ loss: GuestLoss, hasRun: Bool) async -> End {
        run.recorder.emit(.guestEnded(guest: name, orderly: false, reason: loss.message))
        if await run.scheduler.hasRetry(for: number) { return .again(from: nil) }
        if hasRun, await run.scheduler.replace(number, reason: "\(name): \(loss.message)") {
            run.recorder.emit(.guestReplaced(guest: name, reason: loss.message))
            await run.guestFailed()
            return .again(from: nil)
        }
        await lose(loss)
        return .lost
    }

    /// Starts the guest and waits until it is ready. Throws `Unwanted` when its work is gone meanwhile, or the run is stopped.
    private func whileWanted(
        _ start: @escaping @Sendable () async throws -> GuestSession
    ) async throws -> GuestSession {
        try await unless(
            {
                if hasTasks {
                    _ = try await run.scheduler.finished.wait()
                } else {
                    _ = try await run.scheduler.stopped.wait()
                }
                let reason =
                    run.scheduler.stopped.current == nil ? "its tasks were run by other guests" : "the run is stopped"
                return Unwanted(end: .finished, reason: reason)
            }, start)
    }

    private func perform(_ next: Schedule.Run, on guest: LiveGuest) async {
        let task = run.plan.lab.tasks[next.task]
        let id = TaskID(task: task.name, guest: name, index: next.index, repetitions: task.repetitions)
        let begun = run.recorder.clock.elapsed
        run.recorder.emit(.taskStarted(id, attempt: next.attempt))
        let log = Logger(label: "vmlab.runner", guest: name)
        log.debug(
            "task begins", metadata: ["task": "\(id.task)", "index": "\(id.index)", "attempt": "\(next.attempt)"])
        var result = await attempt(next, of: task, id, on: guest)
        result.started = begun
        result.duration = run.recorder.clock.elapsed - begun
        log.debug(
            "task ended",
            metadata: [
                "task": "\(id.task)", "index": "\(id.index)", "outcome": "\(result.outcome)",
                "ms": "\((result.duration * 10_000).rounded() / 10)",
            ])
        if task.retries >= next.attempt, task.retryOn.covers(result.outcome), !Task.isCancelled {
            let message = "attempt \(next.attempt) \(result.outcome): \(result.message ?? "")"
            let kept = run.tasks.results.keep(result)
            let attempt = Schedule.Attempt(
                outcome: result.outcome, message: message, results: (next.before?.results ?? []) + [kept])
            if await run.scheduler.retry(next, before: attempt) {
                run.recorder.emit(.taskNote(id, message: message + "; trying again"))
                return
            }
            result = kept
        }
        result.earlier = next.before?.results ?? []
        await run.finished(result)
        await run.scheduler.finish(next, outcome: result.outcome)
    }

    /// Runs one attempt, after a reset if the task wants a fresh guest. A task holds the guest exclusively; a script locks it,
    /// and other guests, for each operation.
    private func attempt(
        _ next: Schedule.Run, of task: LabTask, _ id: TaskID, on guest: LiveGuest
    ) async -> TaskResult {
        let attempt = { @Sendable () async -> TaskResult in
            if let loss = await reset(guest, for: task) {
                var result = TaskResult(id, loss.outcome, attempts: next.attempt, message: loss.message)
                result.consoleTail = loss.consoleTail
                return result
            }
            guest.move(.use)
            if willBeReset, run.fleet.admission.level == .ample { await guest.prepareRenewal() }
            return await run.tasks.attempt(next, of: task, on: guest)
        }
        if case .lua = task.action { return await attempt() }
        return (try? await guest.exclusive(attempt))
            ?? TaskResult(id, .skipped, attempts: next.attempt, message: "interrupted")
    }

    /// Resets the guest for a task that wants a fresh one. Returns the loss when that fails.
    private func reset(_ guest: LiveGuest, for task: LabTask) async -> GuestLoss? {
        guard task.reset == .snapshot, !guest.isFresh else { return nil }
        do {
            // A guest with cleanup tasks pending still comes back first.
            try await run.tasks.ending.bound(cleaningUp: run.tasks.cleansUp(on: name)) { try await guest.renew() }
            return nil
        } catch let error where Task.isCancelled || error is EarlyEnd {
            return GuestLoss(outcome: .skipped, message: "interrupted", consoleTail: [])
        } catch {
            return GuestLoss(of: error)
        }
    }

    private var willBeReset: Bool { run.plan.lab.tasks.contains { $0.resets(anyOf: [name]) } }

    /// Clones have the devices of their golden, which serves all tasks.
    private var mayBeCloned: Bool { run.fleet.goldens != nil && guest.group.boot != .cold }

    /// Whether any task that may run here copies files: without one, an exchange disk would only cost the guest a driver.
    private var copiesFiles: Bool {
        run.plan.lab.tasks.contains { task in
            if case .lua = task.action { return true }
            return (!task.put.isEmpty || !task.get.isEmpty) && task.targets.contains { $0.guests.contains(name) }
        }
    }

    /// Gives up the guest, and the runs that only it could take.
    private func lose(_ loss: GuestLoss) async {
        run.recorder.emit(
            .guestFailed(guest: name, outcome: loss.outcome, message: loss.message, consoleTail: loss.consoleTail))
        await run.guestFailed()
        await run.scheduler.lose(number, reason: "\(name): \(loss.message)")
    }
}

extension RetryReason {
    /// Whether a task with this outcome is retried.
    fileprivate func covers(_ outcome: Outcome) -> Bool {
        switch outcome {
        case .passed, .flaky, .skipped: false
        case .error, .panicked: true
        case .failed, .timeout: self == .anyFailure
        }
    }
}

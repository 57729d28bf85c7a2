import Diagnostics
import GuestConsole
import GuestControl
import HostResources
import HostSystem
import LabResults
import LabSpec
import Logging

/// One guest's life in a run: wait for work and for room, boot, take runs, make room or stay until the lab is done.
struct GuestWorker: Sendable {
    let number: Int
    let guest: PlannedGuest
    let image: BootableImage
    /// A guest without any task is booted all the same: that it comes up is what its lab asks.
    let hasTasks: Bool
    let run: LabRun.Context

    private enum End {
        /// There is nothing more for this guest, or the run is being stopped.
        case finished
        /// The machine is gone, and another comes when there is something for it to run: it goes on from where this one was,
        /// or anew where there is nothing to go on from.
        case again(from: GuestSnapshot?)
        /// The guest will not come back.
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
            // In this order: room is asked for only where what has been given back is not enough.
            run.fleet.admission.release(claim, log: log)
            await run.scheduler.depart(number)
            switch end {
            case .again(let snapshot) where hasTasks: parked = snapshot
            case .again, .finished, .lost: return
            }
        }
    }

    private var name: String { guest.guest.name }

    /// Whether there is something to boot for: while the guest waited for room others may have done its work.
    private func isStillWanted() async -> Bool {
        let hasWork = await run.scheduler.arrive(number)
        return hasTasks ? hasWork : run.scheduler.stopped.current == nil
    }

    /// Why the guest does not come up, though nothing went wrong.
    private struct Unwanted: Error {
        let end: End
        /// Told of a guest that had begun to boot.
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
                // One that was on its way back to a snapshot is lost by the end of the run alone.
                let isOver = Task.isCancelled || loss.outcome == .skipped
                return isOver ? end("interrupted", .finished) : await handleLoss(loss, hasRun: hasRun)
            }
        }
    }

    /// Waits for the guest's next order. Under overcommit it stands still meanwhile: an emulated guest that does nothing takes
    /// two thousandths of a processor, of which there are not enough for hundreds of them.
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

    /// How long an idle guest goes on before it stands still.
    private static let restlessness = Duration.seconds(1)

    /// Whether nobody but its own tasks can want anything of the guest: neither peers on a network nor scripts.
    private var mayRest: Bool {
        let lab = run.plan.lab
        return lab.admission == .overcommit && image.isCloneable && guest.group.networks.isEmpty
            && !lab.tasks.contains {
                if case .lua = $0.action { return true }
                return $0.expect.predicate != nil
            }
    }

    /// Says that the guest's machine ends by the engine's own will.
    private func end(_ reason: String, _ end: End) -> End {
        run.recorder.emit(.guestEnded(guest: name, orderly: true, reason: reason))
        return end
    }

    /// Makes room for other guests. One that has more to run is parked: its state is kept in a file, from which it goes on.
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

    /// A guest that was up is lost. One that had a run since it came up is replaced by a fresh one for what does not rest on
    /// what it held: so there are no more of them than runs.
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

    /// Starts the guest and waits until it is ready. Throws `Unwanted` when meanwhile the others have done all its work, or the
    /// run is stopped.
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

    /// Runs one attempt on a guest that is fresh where the task wants one. It has the guest to itself, unless it is a script: that
    /// asks for its guest's attention, and others', as it goes.
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

    /// Makes the guest a fresh one for a task that wants one. Returns why it could not be.
    private func reset(_ guest: LiveGuest, for task: LabTask) async -> GuestLoss? {
        guard task.reset == .snapshot, !guest.isFresh else { return nil }
        do {
            // One that is yet to be cleaned up comes back first.
            try await run.tasks.ending.bound(cleaningUp: run.tasks.cleansUp(on: name)) { try await guest.renew() }
            return nil
        } catch let error where Task.isCancelled || error is EarlyEnd {
            return GuestLoss(outcome: .skipped, message: "interrupted", consoleTail: [])
        } catch {
            return GuestLoss(of: error)
        }
    }

    /// Whether any task wants this guest fresh.
    private var willBeReset: Bool { run.plan.lab.tasks.contains { $0.resets(anyOf: [name]) } }

    /// Clones have the devices of their golden, which is for all tasks.
    private var mayBeCloned: Bool { run.fleet.goldens != nil && guest.group.boot != .cold }

    /// Whether any task that may run here copies files: a disk that nobody uses would only cost the guest a driver.
    private var copiesFiles: Bool {
        run.plan.lab.tasks.contains { task in
            if case .lua = task.action { return true }
            return (!task.put.isEmpty || !task.get.isEmpty) && task.targets.contains { $0.guests.contains(name) }
        }
    }

    /// The guest will not come back: what only it could have run is given up.
    private func lose(_ loss: GuestLoss) async {
        run.recorder.emit(
            .guestFailed(guest: name, outcome: loss.outcome, message: loss.message, consoleTail: loss.consoleTail))
        await run.guestFailed()
        await run.scheduler.lose(number, reason: "\(name): \(loss.message)")
    }
}

extension RetryReason {
    /// Whether a task that ended so is tried again.
    fileprivate func covers(_ outcome: Outcome) -> Bool {
        switch outcome {
        case .passed, .flaky, .skipped: false
        case .error, .panicked: true
        case .failed, .timeout: self == .anyFailure
        }
    }
}

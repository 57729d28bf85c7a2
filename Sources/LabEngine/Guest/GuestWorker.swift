import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabSpec

/// One guest's life in a run: wait for work and for room, boot, take runs, make room or stay until the lab is done.
struct GuestWorker: Sendable {
    let number: Int
    let guest: RunPlan.PlannedGuest
    let image: BootableImage
    let run: LabRun.Context

    private enum End {
        /// The lab is done.
        case finished
        /// The guest left its memory to others; it boots again when there is something for it to run.
        case madeRoom
        /// The guest is gone before its time; it boots again if a retry waits for it.
        case lost
    }

    /// Returns when this guest has nothing left to do, or the run is cancelled.
    func work() async {
        // A guest without any task is booted all the same: that it comes up is what its lab asks.
        var unconditional = !hasTasks
        while !Task.isCancelled {
            if !unconditional {
                guard await run.scheduler.waitForWork(number) else { return }
            }
            unconditional = false
            if !run.admission.wouldAdmit(guest.cost) {
                run.recorder.emit(.guestQueued(guest: name, reason: "waits for room (\(guest.cost))"))
            }
            guard await run.admission.acquire(guest.cost) else { return }
            let end = await live()
            run.admission.release(guest.cost)
            if case .finished = end { return }
        }
    }

    private var name: String { guest.guest.name }
    private var hasTasks: Bool { run.plan.hasTasks(for: name) }

    private func live() async -> End {
        guard let place = await BootPlace(in: run.boots) else { return .finished }
        defer { place.release() }
        if hasTasks, run.scheduler.finished.current != nil { return .finished }
        let log = run.results.consoleWriter(name, clock: run.recorder.clock)
        // What a full disk took from a console log, the run's other files will tell.
        defer { try? log.close() }
        do {
            run.recorder.emit(.guestBooting(guest: name, backend: guest.backend.name, boot: .cold))
            let started = ContinuousClock.now
            // In the run's own folder, which the journal knows.
            let directory = "\(run.journal.directory)/\(number)"
            try FileTree.makeFolder(directory, mode: 0o700)
            defer { try? FileTree.remove(directory) }
            return try await GuestSession.withGuest(
                guest, image: image, configuration: try configuration(in: directory), journal: run.journal,
                log: { log.append($0) },
                onNote: { [recorder = run.recorder, name] in
                    recorder.emit(.note(level: .warning, message: "\(name): \($0)"))
                }
            ) { session in
                await live(in: session, since: started, place)
            }
        } catch {
            let notes = (error as? Diagnostic)?.notes ?? []
            await lose(GuestLoss(outcome: .error, message: sentence(of: error), consoleTail: notes))
            return .lost
        }
    }

    private func live(in session: GuestSession, since started: ContinuousClock.Instant, _ place: BootPlace) async -> End {
        let deadline = run.bounded(started + run.plan.lab.timeouts.boot * run.timeFactor)
        do {
            guard try await isReady(session, by: deadline) else {
                run.recorder.emit(.guestEnded(guest: name, orderly: true, reason: "the others did its work"))
                return .finished
            }
        } catch let loss as GuestLoss {
            await lose(loss)
            return .lost
        } catch {
            run.recorder.emit(.guestEnded(guest: name, orderly: true, reason: "interrupted"))
            return .finished
        }
        place.release()
        run.recorder.emit(.guestReady(guest: name, seconds: seconds(ContinuousClock.now - started)))
        while true {
            switch await run.scheduler.next(for: number) {
            case .finished:
                run.recorder.emit(.guestEnded(guest: name, orderly: true, reason: "the lab is done"))
                return .finished
            case .makeRoom:
                run.recorder.emit(.guestEnded(guest: name, orderly: true, reason: "makes room for a waiting guest"))
                return .madeRoom
            case .run(let next):
                await perform(next, on: session)
                if let loss = session.loss.current {
                    run.recorder.emit(.guestEnded(guest: name, orderly: false, reason: loss.message))
                    if await !run.scheduler.hasRetry(for: number) { await lose(loss) }
                    return .lost
                }
            }
        }
    }

    /// Waits until the guest is ready. False when the others have done all its work meanwhile.
    private func isReady(_ session: GuestSession, by deadline: ContinuousClock.Instant) async throws -> Bool {
        guard hasTasks else {
            try await session.becomeReady(deadline: deadline)
            return true
        }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await session.becomeReady(deadline: deadline)
                return true
            }
            group.addTask { [finished = run.scheduler.finished] in
                _ = try await finished.wait()
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
    }

    private func perform(_ next: Schedule.Run, on session: GuestSession) async {
        let task = run.plan.lab.tasks[next.task]
        let id = TaskID(task: task.name, guest: name, index: next.index, repetitions: task.repetitions)
        let begun = run.recorder.clock.elapsed
        run.recorder.emit(.taskStarted(id, attempt: next.attempt))
        var result = await run.tasks.attempt(next, of: task, on: session)
        result.started = begun
        result.duration = run.recorder.clock.elapsed - begun
        if task.retries >= next.attempt, task.retryOn.covers(result.outcome), !Task.isCancelled {
            run.recorder.emit(
                .taskNote(id, message: "attempt \(next.attempt) \(result.outcome): \(result.message ?? ""); trying again"))
            await run.scheduler.retry(next, of: number)
            return
        }
        run.finished(result)
        await run.scheduler.finish(next, outcome: result.outcome)
    }

    private func configuration(in directory: String) throws -> MachineConfiguration {
        var exchange: String?
        if image.console.announces {
            let path = directory + "/exchange"
            try ExchangeDisk.make(at: path)
            exchange = path
        }
        let words = [image.cmdline, "vmlab.guest=\(name)", guest.group.cmdline ?? ""].filter { !$0.isEmpty }
        return MachineConfiguration(
            name: name, image: image, memory: guest.memory, cpus: guest.group.cpus, disks: guest.group.disks,
            exchangeDisk: exchange, networks: [], cmdline: words.joined(separator: " "), directory: directory)
    }

    /// The guest will not come back: what only it could have run is given up.
    private func lose(_ loss: GuestLoss) async {
        run.recorder.emit(
            .guestFailed(guest: name, outcome: loss.outcome, message: loss.message, consoleTail: loss.consoleTail))
        run.guestFailed()
        await run.scheduler.lose(number, reason: "\(name): \(loss.message)")
    }
}

/// A duration in seconds, as results give it.
private func seconds(_ duration: Duration) -> Double { duration / .seconds(1) }

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

/// One of the places for booting guests, given back once however often it is released.
private final class BootPlace: Sendable {
    private let gate: Admission
    private let released = Completion<Bool>()

    /// Waits for a place; nil when the task is cancelled first.
    init?(in gate: Admission) async {
        guard await gate.acquire(ByteCount(0)) else { return nil }
        self.gate = gate
    }

    func release() {
        if released.fulfil(true) { gate.release(ByteCount(0)) }
    }
}

import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import LabResults
import LabSpec

/// Carries one task through on one guest: files in, the command, the verdict, files out, the reboot.
struct TaskRunner: Sendable {
    let lab: Lab
    let timeFactor: Double
    /// When the whole lab's time is up.
    let labDeadline: ContinuousClock.Instant?
    let results: RunDirectory
    let recorder: RunRecorder
    /// Where scripts find other guests.
    let board: GuestBoard
    /// What runs scripts; nil where there is nobody who could.
    let scripting: (any TaskScripting)?

    /// How long collecting files may take when the task's own time is already used up.
    private static let collectionTime = Duration.seconds(60)
    /// How long a command may take to go when the lab's time is up and the guest ends anyway.
    private static let lastGrace = Duration.seconds(2)

    /// Runs one attempt. Never throws: whatever happens is the result's outcome. When the guest is lost on the way, its
    /// session says so afterwards.
    func attempt(_ run: Schedule.Run, of task: LabTask, on guest: LiveGuest) async -> TaskResult {
        let session = guest.session
        let id = TaskID(
            task: task.name, guest: session.guest.guest.name, index: run.index, repetitions: task.repetitions)
        // What an earlier attempt left would be taken for this one's.
        if run.attempt > 1 { try? FileTree.remove(results.absolute(RunDirectory.artifacts(id))) }
        let output = results.outputWriter(id)
        var result = TaskResult(id: id, outcome: .passed, attempts: run.attempt)
        result.outputPath = RunDirectory.taskOutput(id)
        let deadline = bounded(ContinuousClock.now + (task.timeout ?? lab.timeouts.task) * timeFactor)
        do {
            for copy in task.put {
                try await session.whileAlive { try await session.files.put(copy, deadline: deadline) }
            }
            let scriptTask = ScriptTask(
                lab: lab, id: id, guest: guest, environment: environment(of: task, id, session.guest.group),
                recorder: recorder, output: output, artifacts: results.absolute(RunDirectory.artifacts(id)),
                deadline: deadline, board: board)
            if case .lua(let source) = task.action {
                // The script asks for its guest's attention, and others', as it goes.
                guest.leave()
                do {
                    try await withDeadline(deadline) { try await scripted().run(source, in: scriptTask) }
                } catch {
                    await guest.enter()
                    throw error
                }
                await guest.enter()
            } else if let script = try script(of: task.action) {
                try await perform(script, task, scriptTask, output, deadline, &result)
            }
            // A script may have had its guest go back to a snapshot.
            await collect(task, guest, &result)
            if task.reboot, result.outcome == .passed {
                try await guest.session.reboot(deadline: bounded(ContinuousClock.now + lab.timeouts.boot * timeFactor))
            }
        } catch {
            await record(error, of: task, on: guest, in: &result)
        }
        do throws(Diagnostic) {
            try output.close()
        } catch {
            result.outcome = .error
            result.message = sentence(of: error)
        }
        result.outputBytes = output.count
        result.outputTail = output.tail
        if result.outcome == .passed, run.attempt > 1 { result.outcome = .flaky }
        return result
    }

    private func perform(
        _ script: (text: String, name: String), _ task: LabTask, _ context: ScriptTask, _ output: OutputWriter,
        _ deadline: ContinuousClock.Instant, _ result: inout TaskResult
    ) async throws {
        let session = context.guest.session
        let command = GuestCommand(
            script.text, shell: session.guest.shell(task.shell), name: script.name,
            environment: context.environment.map { ($0.name, $0.value) })
        let silence = lab.timeouts.silence.map { $0 * timeFactor }
        let ended = try await session.whileAlive {
            try await session.commands.run(
                command, deadline: deadline, silence: silence,
                output: { [recorder] bytes in
                    output.append(bytes)
                    if let line = output.lastLine { recorder.show(line, of: session.guest.guest.name) }
                })
        }
        result.exit = ended.exit
        let printed = {
            try output.close()
            return try SmallFile.bytes(
                results.absolute(RunDirectory.taskOutput(context.id)), limit: Expectation.searchLimit)
        }
        var disappointment = try task.expect.disappointment(exit: ended.exit, output: printed)
        if disappointment == nil, let predicate = task.expect.predicate {
            let bytes = try printed()
            disappointment = try await withDeadline(deadline) {
                try await scripted().judge(predicate, exit: ended.exit, output: bytes, in: context)
            }
        }
        if let disappointment {
            result.outcome = .failed
            result.message = disappointment
        }
    }

    /// Collects the task's files; what is missing fails a task that would have passed.
    private func collect(_ task: LabTask, _ guest: LiveGuest, _ result: inout TaskResult) async {
        let session = guest.session
        guard !task.get.isEmpty, session.loss.current == nil else { return }
        let folder = RunDirectory.artifacts(result.id)
        let deadline = ContinuousClock.now + Self.collectionTime * max(timeFactor, 1)
        for path in task.get {
            do {
                try FileTree.makeFolder(results.absolute(folder))
                let name = try await session.whileAlive { [absolute = results.absolute(folder)] in
                    try await session.files.get(path, into: absolute, deadline: deadline)
                }
                result.artifacts.append("\(folder)/\(name)")
            } catch let loss as GuestLoss {
                result.note(loss.outcome, loss.message)
                result.consoleTail = loss.consoleTail
                return
            } catch let problem as Diagnostic {
                result.note(problem.category == .guest ? .failed : .error, sentence(of: problem))
            } catch {
                // No verdict on the task where the run itself was ended.
                result.note(
                    Task.isCancelled ? .skipped : .error, "\(path) could not be collected: \(sentence(of: error))")
                guard await recover(guest, after: task) == .atPrompt else { return }
            }
        }
    }

    /// Turns what ended an attempt early into its outcome, and brings the guest back to its prompt if it can be.
    private func record(
        _ error: any Error, of task: LabTask, on guest: LiveGuest, in result: inout TaskResult
    ) async {
        switch error {
        case let loss as GuestLoss:
            result.outcome = loss.outcome
            result.message = loss.message
            result.consoleTail = loss.consoleTail
        case let failure as ScriptFailure:
            result.outcome = failure.outcome
            result.message = failure.message
            result.consoleTail = failure.consoleTail
            await collect(task, guest, &result)
        case is DeadlineExceeded:
            result.outcome = .timeout
            result.message = timeoutMessage(error, task)
            await collect(task, guest, &result)
        case ConsoleError.deadline, ConsoleError.silence:
            result.outcome = .timeout
            result.message = timeoutMessage(error, task)
            // Where the guest ends anyway and nothing is collected from it, its command needs no interruption.
            if isOver, task.get.isEmpty { return }
            switch await recover(guest, after: task) {
            case .atPrompt: await collect(task, guest, &result)
            case .madeAnew where !task.get.isEmpty: result.note(.timeout, "its files were lost with the guest's state")
            case .madeAnew, .lost: break
            }
        case is CancellationError, ConsoleError.cancelled:
            result.outcome = .skipped
            result.message = "interrupted"
        case ConsoleError.greetedAgain:
            result.outcome = .error
            result.message = sentence(of: error)
            // The guest is there again: what comes after this task can have it.
            try? await guest.session.becomeReady(
                deadline: bounded(ContinuousClock.now + lab.timeouts.boot * timeFactor))
        case is Diagnostic:
            result.outcome = .error
            result.message = sentence(of: error)
        default:
            result.outcome = .error
            result.message = sentence(of: error)
            await recover(guest, after: task)
        }
    }

    private func timeoutMessage(_ error: any Error, _ task: LabTask) -> String {
        if case ConsoleError.silence = error {
            return "printed nothing for \(inWords((lab.timeouts.silence ?? .zero) * timeFactor))"
        }
        if isOver { return "the lab's time was up" }
        return "did not end within \(inWords((task.timeout ?? lab.timeouts.task) * timeFactor))"
    }

    /// The limits of what scripts do.
    var limits: LiveLimits { LiveLimits(timeouts: lab.timeouts, factor: timeFactor, end: labDeadline) }

    /// Whether the lab's time is up.
    var isOver: Bool { labDeadline.map { ContinuousClock.now >= $0 } ?? false }

    /// After a timeout the command still runs: it is ended.
    @discardableResult
    private func recover(_ guest: LiveGuest, after task: LabTask) async -> Recovery {
        guard isOver else { return await guest.endCommand("task \(task.name)") }
        let session = guest.session
        let isBack = try? await session.whileAlive { await session.commands.interrupt(grace: Self.lastGrace) }
        return isBack == true ? .atPrompt : .lost
    }

    private func scripted() throws -> any TaskScripting {
        guard let scripting else {
            throw Diagnostic(.specification, "nothing here runs Lua", remedy: "use `run:` or `script:`")
        }
        return scripting
    }

    /// The text that the guest's shell is given, and what its file is called.
    private func script(of action: TaskAction) throws -> (text: String, name: String)? {
        switch action {
        case .run(let text): return (text, "script")
        case .script(let path):
            let bytes = try SmallFile.bytes(path, limit: 64 << 20)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Diagnostic(
                    .specification, "\(path) is not text in UTF-8",
                    remedy: "use `put:` for programs and `run:` to start them")
            }
            return (text, String(path.split(separator: "/").last ?? "script"))
        case .nothing, .lua: return nil
        }
    }

    private func environment(of task: LabTask, _ id: TaskID, _ group: GuestGroup) -> [EnvironmentVariable] {
        [
            EnvironmentVariable("VMLAB_LAB", lab.name), EnvironmentVariable("VMLAB_GUEST", id.guest ?? ""),
            EnvironmentVariable("VMLAB_TASK", task.name), EnvironmentVariable("VMLAB_INDEX", "\(id.index)"),
        ] + group.env + task.env
    }

    private func bounded(_ deadline: ContinuousClock.Instant) -> ContinuousClock.Instant {
        labDeadline.map { min($0, deadline) } ?? deadline
    }
}

extension TaskResult {
    /// Adds trouble that came after the verdict: it outweighs a pass and is told beside a failure.
    fileprivate mutating func note(_ outcome: Outcome, _ message: String) {
        if self.outcome == .passed { self.outcome = outcome }
        self.message = [self.message, message].compactMap { $0 }.joined(separator: "; ")
    }
}

import Diagnostics
import Glibc
import GuestConsole
import GuestControl
import HostResources
import HostSystem
import LabResults
import LabSpec
import Patterns
import Quantities

/// Runs one task on one guest: copy files in, run the command, judge it, collect files, reboot.
struct TaskRunner: Sendable {
    let lab: Lab
    let timeFactor: Double
    /// Set when the run ends early.
    let ending: Completion<EarlyEnd>
    let results: RunDirectory
    let recorder: RunRecorder
    /// The other guests, for scripts.
    let board: GuestBoard
    /// Runs scripts; nil where scripts are not supported.
    let scripting: (any TaskScripting)?

    /// The time for collecting files when the task's time is used up.
    private static let collectionTime = Duration.seconds(10)
    /// The time for judging output when the task's time is used up.
    private static let judgementTime = Duration.seconds(5)

    /// Runs one attempt. Never throws: errors become the result's outcome. If the guest is lost, its session reports that
    /// afterwards.
    func attempt(_ run: Schedule.Run, of task: LabTask, on guest: LiveGuest) async -> TaskResult {
        let id = TaskID(task: task.name, guest: guest.name, index: run.index, repetitions: task.repetitions)
        // Files of an earlier attempt must not be taken for this one's.
        if run.attempt > 1 { try? FileTree.remove(results.absolute(RunDirectory.artifacts(id))) }
        let streams = TaskStreams(
            task, id, limit: task.outputLimit ?? lab.outputLimit, access: lab.access, os: guest.planned.os, in: results)
        let troubles = TroubleLog()
        let failOn = task.failOn ?? lab.failOn
        var result = TaskResult(id, .passed, attempts: run.attempt)
        let timeout = (task.timeout ?? lab.timeouts.task) * timeFactor
        let time = TimeLimit(timeout, until: HostClock.now + timeout)
        var hasRebooted = false
        do {
            for copy in task.put {
                try await bound(task) { try await guest.put(copy, with: lab.access, within: time) }
            }
            let scriptTask = ScriptTask(
                lab: lab, id: id, guest: guest, environment: environment(of: task, id, guest.planned.group),
                recorder: recorder, output: streams.output, results: results, timeout: timeout, deadline: time.deadline,
                troubles: troubles, failOn: failOn, board: board, ending: ending)
            if case .lua(let source) = task.action {
                try await bound(task) {
                    try await withinTime(time) { try await scripted().run(source, in: scriptTask) }
                }
            } else if let script = try script(of: task.action) {
                hasRebooted = try await perform(script, task, scriptTask, streams, time, &result)
            }
            await collect(task, guest, by: time, &result)
            if task.reboot, result.outcome == .passed, !hasRebooted {
                // A guest with cleanup tasks pending still comes back first.
                try await ending.bound(cleaningUp: task.condition == .always || cleansUp(on: guest.name)) {
                    try await guest.reboot()
                }
            }
        } catch {
            await record(error, of: task, streams, on: guest, by: time, in: &result)
        }
        troubles.add(await guest.takeTroubles())
        result.judge(troubles.all, failOn: failOn)
        streams.complete(&result)
        if result.outcome == .passed, run.attempt > 1 { result.outcome = .flaky }
        return result
    }

    /// Runs the task's script and judges it. True when the script rebooted the guest as the task demands: its exit status is
    /// then lost and not judged.
    private func perform(
        _ script: (text: String, name: String), _ task: LabTask, _ context: ScriptTask, _ streams: TaskStreams,
        _ time: TimeLimit, _ result: inout TaskResult
    ) async throws -> Bool {
        let guest = context.guest
        let command = GuestCommand(
            script.text, shell: guest.planned.shell(task.shell), name: script.name,
            environment: context.environment.map { ($0.name, $0.value) }, workingDirectory: task.folder,
            user: task.user)
        do {
            let ended = try await bound(task) { [recorder] in
                try await guest.run(command, with: streams.ofCommand, of: "task \(task.name)", within: time) { bytes in
                    streams.output.append(bytes)
                    if let line = streams.output.lastLine { recorder.show(line, of: guest.name) }
                }
            }
            result.exit = ended.exit
        } catch ConsoleError.greetedAgain {
            guard task.reboot else { throw Self.restarted }
        }
        let hasRebooted = result.exit == nil
        let exit = result.exit ?? task.expect.exit.first ?? 0
        let path = results.absolute(RunDirectory.taskOutput(context.id))
        let errorsPath = results.absolute(RunDirectory.taskErrors(context.id))
        try streams.finish(for: task.expect, exit: exit)
        // A command that ended in time is judged, even when it ended just before the deadline.
        let judged = max(time.deadline, HostClock.now + Self.judgementTime)
        let mismatch = try await bound(task) { () -> String? in
            if let found = try await task.expect.mismatch(
                exit: exit, on: guest.planned.os, output: path, errors: errorsPath, deadline: judged)
            {
                return found
            }
            guard let predicate = task.expect.predicate else { return nil }
            let hasErrors = streams.errors != nil
            let (bytes, errors) = try await HostThread.run("vmlab-output") { _ in
                (
                    try SmallFile.bytes(path, limit: .max),
                    hasErrors ? try SmallFile.bytes(errorsPath, limit: .max) : nil
                )
            }
            return try await withinTime(time, until: judged) {
                try await scripted().judge(predicate, exit: exit, output: bytes, errors: errors, in: context)
            }
        }
        if let mismatch {
            result.outcome = .failed
            result.message = mismatch
        }
        return hasRebooted
    }

    private static let restarted = Verdict(
        .error,
        "the guest or its shell restarted while the task ran (`reboot: true` is for a task that reboots its guest)",
        guest: .lost)

    /// Collects the task's files; a missing one fails a task that would have passed.
    private func collect(
        _ task: LabTask, _ guest: LiveGuest, by time: TimeLimit, _ result: inout TaskResult
    ) async {
        guard !task.get.isEmpty, guest.loss == nil else { return }
        let late = max(time.deadline, HostClock.now + Self.collectionTime)
        let time = TimeLimit(time.duration, until: ending.current.map { min($0.deadline, late) } ?? late)
        for collection in task.get {
            do {
                let folder = try results.artifacts(result.id)
                let files = try await ending.bound(cleaningUp: true) {
                    try await guest.get(collection, into: folder, within: time)
                }
                result.artifacts += files.names.map { "\(RunDirectory.artifacts(result.id))/\($0)" }
                for note in files.notes { recorder.emit(.taskNote(result.id, message: note)) }
            } catch {
                let verdict = Verdict(of: error)
                switch error {
                case is GuestTimeout, is EarlyEnd:
                    let late = "\(collection.path) could not be collected before the task's time was up"
                    result.note(.timeout, late)
                case is Verdict, is Diagnostic, is GuestLoss: result.note(verdict.outcome, verdict.message)
                default:
                    // The run was ended, so this is no verdict on the task.
                    result.note(
                        Task.isCancelled ? .skipped : .error,
                        "\(collection.path) could not be collected: \(verdict.message)")
                }
                if !verdict.consoleTail.isEmpty { result.consoleTail = verdict.consoleTail }
                guard verdict.guest == .atPrompt else { return }
            }
        }
    }

    /// Turns the error that ended an attempt into its outcome, and collects what can still be collected.
    private func record(
        _ error: any Error, of task: LabTask, _ streams: TaskStreams, on guest: LiveGuest, by time: TimeLimit,
        in result: inout TaskResult
    ) async {
        var verdict = Verdict(of: error)
        if let end = error as? EarlyEnd {
            if task.condition == .always {
                verdict = Verdict(.timeout, "did not end within the grace time of \(end.grace.notation)", guest: .lost)
            }
            // When the guest ends now and nothing is collected, its command need not be interrupted.
            if !task.get.isEmpty || task.separatesErrors || cleansUp(on: guest.name) {
                let recovery = try? await ending.bound(cleaningUp: true) {
                    let recovery = await guest.endLeftCommand("task \(task.name)")
                    if recovery == .atPrompt { try? await guest.takeErrors(of: streams.ofCommand) }
                    return recovery
                }
                verdict.guest = recovery ?? .lost
            }
        }
        (result.outcome, result.message, result.consoleTail) = (verdict.outcome, verdict.message, verdict.consoleTail)
        // When copying files in has failed, nothing has run.
        guard !(error is Diagnostic) else { return }
        switch verdict.guest {
        case .atPrompt: await collect(task, guest, by: time, &result)
        case .madeAnew where !task.get.isEmpty: result.note(.timeout, "its files were lost with the guest's state")
        case .madeAnew, .lost: break
        }
    }

    /// Whether a cleanup task of the lab may run on this guest.
    func cleansUp(on guest: String) -> Bool {
        lab.tasks.contains { task in
            task.condition == .always && task.targets.contains { $0.guests.contains(guest) }
        }
    }

    var limits: LiveLimits { LiveLimits(timeouts: lab.timeouts, factor: timeFactor) }

    /// Runs `body` until the run ends early. Throws the `EarlyEnd`.
    private func bound<Result: Sendable>(
        _ task: LabTask, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await ending.bound(cleaningUp: task.condition == .always, body)
    }

    /// Runs `body` within the task's time. Throws the `GuestTimeout`.
    private func withinTime<Result: Sendable>(
        _ time: TimeLimit, until deadline: ContinuousClock.Instant? = nil,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        do {
            return try await withDeadline(deadline ?? time.deadline, body)
        } catch is DeadlineExceeded {
            throw GuestTimeout(what: "did not end", limit: time.duration)
        }
    }

    private func scripted() throws -> any TaskScripting {
        guard let scripting else {
            throw Diagnostic(.host, "Lua is not available here", remedy: "use `run:` or `script:`")
        }
        return scripting
    }

    /// The script's text for the guest's shell, and its file name.
    private func script(of action: TaskAction) throws -> (text: String, name: String)? {
        switch action {
        case .run(let text): return (text, "script")
        case .script(let path):
            let bytes = try SmallFile.bytes(path, limit: 64 << 20)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Diagnostic(
                    .host, "\(path) is not text in UTF-8", remedy: "use `put:` for programs and `run:` to start them")
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
}

extension TaskResult {
    /// Adds kernel troubles of guests; those that `failOn` names fail a task that would have passed.
    public mutating func judge(_ troubles: [GuestTrouble], failOn: Set<TroubleKind>) {
        trouble += troubles
        let wrong = troubles.first { TroubleKind(rawValue: $0.kind).map(failOn.contains) ?? false }
        if let wrong { note(.failed, "the kernel of \(wrong.guest) reported: \(wrong.message)") }
    }

    /// Adds a problem found after the verdict: it replaces a pass and is appended to a failure.
    fileprivate mutating func note(_ outcome: Outcome, _ message: String) {
        if self.outcome == .passed { self.outcome = outcome }
        self.message = [self.message, message].compactMap { $0 }.joined(separator: "; ")
    }
}

import Diagnostics
import GuestConsole
import HostSystem
import GuestControl
import LabRunner
import LabResults
import LabSpec
import Logging
import LuaRuntime
import Synchronization

/// The task or subtest that a script is in: what its steps are recorded under.
final class ScriptScope: Sendable {
    /// The scope of the Swift task that runs a script, or one of its functions.
    @TaskLocal static var current: ScriptScope?

    let id: TaskID
    let recorder: RunRecorder
    let output: OutputWriter
    /// Where files go that steps collect.
    let results: RunDirectory
    /// The scope that this subtest is a part of.
    let parent: ScriptScope?
    /// The subtests in it that have ended.
    let subtests = SubtestTally()
    /// What went wrong in the kernels of guests that steps were for.
    let troubles: TroubleLog
    /// What of that fails it.
    let failOn: Mutex<Set<TroubleKind>>
    /// What it is in the middle of, which its subtests share.
    let activity: ScriptActivity
    private let steps = Atomic<Int>(0)
    private let collected = Mutex<[String]>([])

    init(
        id: TaskID, recorder: RunRecorder, output: OutputWriter, results: RunDirectory, parent: ScriptScope? = nil,
        troubles: TroubleLog = TroubleLog(), failOn: Set<TroubleKind> = TroubleKind.grave
    ) {
        self.troubles = troubles
        self.failOn = Mutex(failOn)
        (self.id, self.recorder, self.output) = (id, recorder, output)
        (self.results, self.parent) = (results, parent)
        activity = parent?.activity ?? ScriptActivity()
    }

    /// Files that steps have collected, absolute.
    var files: [String] { collected.withLock { $0 } }

    func add(_ file: String) { collected.withLock { $0.append(file) } }

    /// Runs one step and records it, however it ends.
    static func step<Result: Sendable>(
        _ call: LuaCall, on guest: LiveGuest? = nil, _ text: String,
        _ body: (StepNotes) async throws -> Result
    ) async throws -> Result {
        guard let scope = current else { return try await body(StepNotes()) }
        let number = scope.steps.add(1, ordering: .relaxed).newValue
        let id = StepID(
            task: scope.id, number: number, guest: guest?.name, call: call.name, text: Self.line(text),
            place: call.location?.description)
        scope.output.append(Array("\(guest.map { "\($0.name): " } ?? "")\(call.name) \(text)\n".utf8))
        scope.recorder.emit(.stepStarted(id))
        var log = Logger(label: "vmlab.scripting")
        log[metadataKey: "guest"] = guest.map { "\($0.name)" }
        log[metadataKey: "step"] = "\(number)"
        log.debug("\(call.name) begins", metadata: ["place": "\(id.place ?? "")"])
        log.trace("\(call.name): \(text)")
        scope.activity.begin(id)
        let notes = StepNotes(copy: scope.output)
        var result = StepResult(id, .passed, started: scope.recorder.clock.elapsed)
        defer {
            // What was cut short is what the script was in when its time was up.
            if !Task.isCancelled { scope.activity.end(id) }
            result.duration = scope.recorder.clock.elapsed - result.started
            result.exit = notes.exit
            result.outputTail = notes.tail
            scope.recorder.emit(.stepFinished(result))
            log.debug(
                "\(call.name) ended",
                metadata: ["outcome": "\(result.outcome)", "ms": "\((result.duration * 10_000).rounded() / 10)"])
        }
        do {
            let value = try await body(notes)
            await scope.watch(guest)
            return value
        } catch {
            await scope.watch(guest)
            let verdict = Verdict(of: error)
            (result.outcome, result.message) = (verdict.outcome, verdict.message)
            throw StepFailure.of(error, call: call.name, guest: guest?.name, notes: notes)
        }
    }

    /// Keeps what went wrong in a guest's kernel.
    private func watch(_ guest: LiveGuest?) async {
        if let guest { troubles.add(await guest.takeTroubles()) }
    }

    /// The first line of a text, within reason.
    private static func line(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
        guard let first = lines.first else { return "" }
        return first.count > 120 ? "\(first.prefix(120))…" : lines.count > 1 ? "\(first) …" : String(first)
    }
}

extension TaskResult {
    /// Fills in how a script, or a part of one, went.
    mutating func complete(_ scope: ScriptScope, _ failure: (any Error)?, in results: RunDirectory) {
        duration = scope.recorder.clock.elapsed - started
        if let failure = failure ?? scope.subtests.failure {
            let verdict = Verdict(of: failure)
            (outcome, message, consoleTail) = (verdict.outcome, verdict.message, verdict.consoleTail)
        }
        judge(scope.troubles.all, failOn: scope.failOn.withLock { $0 })
        do throws(Diagnostic) {
            try scope.output.close()
        } catch {
            (outcome, message) = (.error, error.lineWithRemedy)
        }
        outputPath = RunDirectory.taskOutput(id)
        outputBytes = scope.output.count
        outputDropped = scope.output.dropped
        outputTail = scope.output.tail
        let root = FilePath.absolute(results.absolute(""))
        artifacts = scope.files.map { $0.hasPrefix(root) ? String($0.dropFirst(root.count)) : $0 }
    }
}

/// What a step records while it runs.
final class StepNotes: Sendable {
    private struct State {
        var command: String?
        var exit: Int32?
        var output: [UInt8] = []
        var isCut = false
    }

    /// Output beyond this does not come into the script: a guest does not size our memory.
    static let limit = 64 << 20

    private let state = Mutex(State())
    private let copy: OutputWriter?

    init(copy: OutputWriter? = nil) { self.copy = copy }

    func append(_ bytes: ArraySlice<UInt8>) {
        copy?.append(bytes)
        state.withLock { state in
            let room = Self.limit - state.output.count
            state.output += bytes.prefix(room)
            if bytes.count > room { state.isCut = true }
        }
    }

    /// The last line of what was copied for the task's output; nil where nothing is.
    var lastLine: String? { copy?.lastLine }

    /// A command of a guest starts.
    func begins(_ command: String) { state.withLock { $0.command = command } }

    func ended(_ result: CommandResult) { state.withLock { $0.exit = result.exit } }

    var command: String? { state.withLock { $0.command } }
    var exit: Int32? { state.withLock { $0.exit } }
    var isCut: Bool { state.withLock { $0.isCut } }
    var output: [UInt8] { state.withLock { $0.output } }
    var tail: String { state.withLock { String(decoding: $0.output.suffix(1024), as: UTF8.self) } }
}

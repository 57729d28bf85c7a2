import GuestControl
import HostSystem
import LabResults
import LabSpec

/// Runs tasks in a scripting language; the engine itself has none.
public protocol TaskScripting: Sendable {
    /// Runs a task's script. Throws its `Verdict`, or the error that ended it.
    func run(_ script: LuaSource, in task: ScriptTask) async throws

    /// Judges a command's exit status, output and, if it was kept apart, standard error by a predicate: nil when it holds, else the reason. Throws when the predicate
    /// itself fails.
    func judge(_ predicate: LuaText, exit: Int32, output: [UInt8], errors: [UInt8]?, in task: ScriptTask) async throws
        -> String?
}

/// The context of a script task.
public struct ScriptTask: Sendable {
    /// The lab.
    public let lab: Lab
    /// The task's id, with its guest.
    public let id: TaskID
    /// The guest it runs on.
    public let guest: LiveGuest
    /// The task's environment.
    public let environment: [EnvironmentVariable]
    /// Records the script's steps.
    public let recorder: RunRecorder
    /// Receives the script's output.
    public let output: OutputWriter
    /// The folder for collected files.
    public let results: RunDirectory
    /// The task's timeout.
    public let timeout: Duration
    /// The task's deadline.
    public let deadline: ContinuousClock.Instant
    /// Collects kernel troubles of the guests that the script uses.
    public let troubles: TroubleLog
    /// The kinds of trouble that fail the task.
    public let failOn: Set<TroubleKind>
    let board: GuestBoard
    let ending: Completion<EarlyEnd>

    /// The deadline for cleanup by a script that was ended.
    public var cleanupDeadline: ContinuousClock.Instant {
        let usual = HostClock.now + Self.cleanupTime
        return ending.current.map { min($0.deadline, usual) } ?? usual
    }

    private static let cleanupTime = Duration.seconds(10)

    /// Another guest of the lab, once it is ready. Throws when there is none of this name, or it does not come up in time.
    public func guest(_ name: String) async throws -> LiveGuest {
        try await board.guest(name, deadline: min(deadline, guest.limits.deadline(in: guest.limits.timeouts.boot)))
    }
}

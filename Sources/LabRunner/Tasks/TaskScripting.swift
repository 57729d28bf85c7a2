import GuestControl
import HostSystem
import LabResults
import LabSpec

/// Runs tasks that are written in another language than their guest's shell: the engine itself knows none.
public protocol TaskScripting: Sendable {
    /// Runs a task's script to its end. Throws its `Verdict`, or what ended it.
    func run(_ script: LuaSource, in task: ScriptTask) async throws

    /// Whether a command's exit status and output are what a predicate wants: nil when they are, else why not. Throws when
    /// the predicate itself fails.
    func judge(_ predicate: LuaText, exit: Int32, output: [UInt8], in task: ScriptTask) async throws -> String?
}

/// What a script of a lab's task has to work with.
public struct ScriptTask: Sendable {
    /// The lab.
    public let lab: Lab
    /// The task on its guest.
    public let id: TaskID
    /// The guest it runs on.
    public let guest: LiveGuest
    /// The task's environment.
    public let environment: [EnvironmentVariable]
    /// Where steps are told.
    public let recorder: RunRecorder
    /// What the script prints.
    public let output: OutputWriter
    /// Where collected files go.
    public let results: RunDirectory
    /// The task's time.
    public let timeout: Duration
    /// When that is up.
    public let deadline: ContinuousClock.Instant
    /// Where it is kept what went wrong in the kernels of guests that the script uses.
    public let troubles: TroubleLog
    /// What of that fails the task.
    public let failOn: Set<TroubleKind>
    let board: GuestBoard
    let ending: Completion<EarlyEnd>

    /// Until when a script that was ended may clean up.
    public var cleanupDeadline: ContinuousClock.Instant {
        let usual = HostClock.now + Self.cleanupTime
        return ending.current.map { min($0.deadline, usual) } ?? usual
    }

    private static let cleanupTime = Duration.seconds(10)

    /// Another guest of the lab, once it is ready. Throws when there is none of this name, or it does not come.
    public func guest(_ name: String) async throws -> LiveGuest {
        try await board.guest(name, deadline: min(deadline, guest.limits.deadline(in: guest.limits.timeouts.boot)))
    }
}

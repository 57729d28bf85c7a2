/// Everything that happens in a run, in order. The terminal, JSON lines, results and JUnit are sinks; nothing else prints.
public enum RunEvent: Sendable, Hashable {
    /// First event.
    case runStarted(RunDescription)
    /// An image is being built or fetched; `fraction` is 0…1 when it is known.
    case imageProgress(image: String, step: String, fraction: Double?)
    /// All images are there and the fleet is admitted in this many batches.
    case fleetAdmitted(batches: Int, note: String?)
    /// A guest joined the run that its first event did not know of: a script asked for it.
    case guestDeclared(GuestDescription)
    /// A guest waits for memory.
    case guestQueued(guest: String, reason: String)
    /// A guest that still had something to do was sent away so that others have memory; it comes back later.
    case guestParked(guest: String, reason: String)
    /// A guest's machine is being started.
    case guestBooting(guest: String, backend: String, boot: BootKind)
    /// A guest answers on its command channel.
    case guestReady(guest: String, seconds: Double)
    /// A guest's machine is gone. `orderly` is false when it was not the engine's doing.
    case guestEnded(guest: String, orderly: Bool, reason: String)
    /// A guest is lost, and a fresh one replaces it for its remaining tasks.
    case guestReplaced(guest: String, reason: String)
    /// The guest could not be used; its tasks will be errors. `consoleTail` is what COM1 said last.
    case guestFailed(guest: String, outcome: Outcome, message: String, consoleTail: [String])
    /// One task begins on one guest.
    case taskStarted(TaskID, attempt: Int)
    /// Something a person should know while a task runs, such as a retry and its reason.
    case taskNote(TaskID, message: String)
    /// A script does something.
    case stepStarted(StepID)
    /// A step of a script has ended.
    case stepFinished(StepResult)
    /// One task on one guest has ended.
    case taskFinished(TaskResult)
    /// A word to the user that belongs to no guest or task.
    case note(level: NoteLevel, message: String)
    /// The run is being stopped early.
    case interrupted(reason: String)
    /// How the guests shared the host's memory, at the run's end.
    case admissionEnded(AdmissionSummary)
    /// Last event.
    case runFinished(RunSummary)
}

/// How a guest came up.
public enum BootKind: String, Sendable, Hashable {
    case cold, clone
}

/// How loud a note is.
public enum NoteLevel: String, Sendable, Hashable {
    case info, warning
}

/// A run event with its place in time.
public struct RecordedEvent: Sendable, Hashable {
    /// From 1, without gaps.
    public var sequence: Int
    /// Seconds since the run's first event, from a monotonic clock.
    public var elapsed: Double
    /// Wall-clock time, seconds since 1970.
    public var time: Double
    /// What happened.
    public var event: RunEvent
}

/// Everything that happens in a run, in the order it happens. The terminal, JSON lines, results and JUnit are sinks of
/// this stream and nothing else prints.
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
    /// A guest is lost, and a fresh one takes its place for what it has left to run.
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

/// One task on one guest in one repetition.
public struct TaskID: Sendable, Hashable {
    /// The task's name.
    public var task: String
    /// The guest it ran on; nil for a task that was skipped before a free guest took it.
    public var guest: String?
    /// The repetition, from 1.
    public var index: Int
    /// How many repetitions the task has.
    public var repetitions: Int

    /// An id as given.
    public init(task: String, guest: String?, index: Int = 1, repetitions: Int = 1) {
        self.task = task
        self.guest = guest
        self.index = index
        self.repetitions = repetitions
    }
}

/// One step of a script: a call that does something with a guest or checks something.
public struct StepID: Sendable, Hashable {
    /// The task, or subtest, that it belongs to.
    public var task: TaskID
    /// Its place among the task's steps, from 1.
    public var number: Int
    /// The guest that it is for.
    public var guest: String?
    /// What was called, such as `succeed`.
    public var call: String
    /// What it was about, such as a command: one line, cut where it is long.
    public var text: String
    /// Where the script calls it, such as `smoke.lua:3`.
    public var place: String?

    /// An id as given.
    public init(task: TaskID, number: Int, guest: String?, call: String, text: String, place: String?) {
        self.task = task
        self.number = number
        self.guest = guest
        self.call = call
        self.text = text
        self.place = place
    }
}

/// How one step went.
public struct StepResult: Sendable, Hashable {
    /// Which one.
    public var id: StepID
    /// How it ended.
    public var outcome: Outcome
    /// The command's exit status, when there was a command and it ended by itself.
    public var exit: Int32?
    /// Seconds since the run's start when it began.
    public var started: Double
    /// Seconds it took.
    public var duration: Double
    /// Why it did not pass, one line.
    public var message: String?
    /// The end of what it printed, as text, at most 1 KiB.
    public var outputTail: String

    /// A result as given.
    public init(
        id: StepID, outcome: Outcome, exit: Int32? = nil, started: Double = 0, duration: Double = 0,
        message: String? = nil, outputTail: String = ""
    ) {
        self.id = id
        self.outcome = outcome
        self.exit = exit
        self.started = started
        self.duration = duration
        self.message = message
        self.outputTail = outputTail
    }
}

/// How one task on one guest went.
public struct TaskResult: Sendable, Hashable {
    /// Which one.
    public var id: TaskID
    /// How it ended.
    public var outcome: Outcome
    /// The command's exit status, when it ended by itself.
    public var exit: Int32?
    /// Seconds from the first attempt's start to the end, file copies included.
    public var duration: Double
    /// Seconds since the run's start when it began.
    public var started: Double
    /// How many attempts it took.
    public var attempts: Int
    /// Why it did not pass, one line: `exit status 3, expected 0`.
    public var message: String?
    /// Bytes that the command printed in its last attempt.
    public var outputBytes: Int
    /// How many of them, the last, are not kept: beyond the task's `output-limit`.
    public var outputDropped: Int
    /// The end of the output, as text, at most 4 KiB.
    public var outputTail: String
    /// What guests' kernels said went wrong while it ran.
    public var trouble: [GuestTrouble]
    /// The guest's last console lines, when the guest is to blame.
    public var consoleTail: [String]
    /// The output's file, relative to the results directory; nil when nothing ran.
    public var outputPath: String?
    /// Collected files, relative to the results directory.
    public var artifacts: [String]
    /// How the attempts before this one went, in order; their own `earlier` is empty.
    public var earlier: [TaskResult] = []
    /// What a script did in it, in order, in a run report; there their ids have neither task nor number. Events have the steps
    /// for themselves.
    public var steps: [StepResult] = []

    /// A result as given.
    public init(
        id: TaskID, outcome: Outcome, exit: Int32? = nil, duration: Double = 0, started: Double = 0, attempts: Int = 1,
        message: String? = nil, outputBytes: Int = 0, outputDropped: Int = 0, outputTail: String = "",
        trouble: [GuestTrouble] = [], consoleTail: [String] = [], outputPath: String? = nil, artifacts: [String] = []
    ) {
        self.id = id
        self.outcome = outcome
        self.exit = exit
        self.duration = duration
        self.started = started
        self.attempts = attempts
        self.message = message
        self.outputBytes = outputBytes
        self.outputDropped = outputDropped
        self.outputTail = outputTail
        self.trouble = trouble
        self.consoleTail = consoleTail
        self.outputPath = outputPath
        self.artifacts = artifacts
    }
}

/// What is about to run.
public struct RunDescription: Sendable, Hashable {
    /// The lab's name.
    public var lab: String
    /// The matrix cell's id, when there is a matrix.
    public var cell: String?
    /// The lab file's path.
    public var file: String
    /// The host: kernel, cores, memory in bytes available to the run.
    public var host: HostDescription
    /// Guests in order.
    public var guests: [GuestDescription]
    /// Every task run in order: what the progress bar counts. `guest` is nil where a free guest takes it.
    public var tasks: [TaskID]
    /// `vmlab`'s version.
    public var version: String

    /// A description as given.
    public init(
        lab: String, cell: String?, file: String, host: HostDescription, guests: [GuestDescription], tasks: [TaskID],
        version: String
    ) {
        self.lab = lab
        self.cell = cell
        self.file = file
        self.host = host
        self.guests = guests
        self.tasks = tasks
        self.version = version
    }
}

/// The host of a run.
public struct HostDescription: Sendable, Hashable {
    /// The host's name.
    public var name: String
    /// Kernel release.
    public var kernel: String
    /// Processors that the run may use.
    public var cores: Int
    /// Memory that the run may use, in bytes.
    public var memory: UInt64

    /// A host as given.
    public init(name: String, kernel: String, cores: Int, memory: UInt64) {
        self.name = name
        self.kernel = kernel
        self.cores = cores
        self.memory = memory
    }
}

/// One guest of a run.
public struct GuestDescription: Sendable, Hashable {
    /// The guest's name.
    public var name: String
    /// Its group.
    public var group: String
    /// Its image.
    public var image: String
    /// `linux` or `windows`.
    public var os: String
    /// RAM in bytes.
    public var memory: UInt64
    /// vCPUs.
    public var cpus: Int
    /// The backend that runs it, such as `qemu-tcg`.
    public var backend: String

    /// A guest as given.
    public init(
        name: String = "", group: String = "", image: String = "", os: String = "", memory: UInt64 = 0, cpus: Int = 0,
        backend: String = ""
    ) {
        self.name = name
        self.group = group
        self.image = image
        self.os = os
        self.memory = memory
        self.cpus = cpus
        self.backend = backend
    }
}

/// How the run ended.
public struct RunSummary: Sendable, Hashable {
    /// The exit status that the command will have for this run.
    public var status: ExitStatus
    /// Seconds from the first event to the last.
    public var duration: Double
    /// How many task runs had each outcome.
    public var counts: [String: Int]

    /// A summary as given.
    public init(status: ExitStatus, duration: Double, counts: [String: Int]) {
        self.status = status
        self.duration = duration
        self.counts = counts
    }
}

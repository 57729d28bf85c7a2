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
    /// Its subject, such as a command: one line, truncated if long.
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
    public var started = 0.0
    /// Seconds it took.
    public var duration = 0.0
    /// Why it did not pass, one line.
    public var message: String?
    /// The end of what it printed, as text, at most 1 KiB.
    public var outputTail = ""
}

extension StepResult {
    /// The beginning of a result; the rest is set as it becomes known.
    public init(_ id: StepID, _ outcome: Outcome, started: Double) {
        self.init(id: id, outcome: outcome, started: started)
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
    public var duration = 0.0
    /// Seconds since the run's start when it began.
    public var started = 0.0
    /// How many attempts it took.
    public var attempts = 1
    /// Why it did not pass, one line: `exit status 3, expected 0`.
    public var message: String?
    /// Bytes that the command printed in its last attempt.
    public var outputBytes = 0
    /// How many of them, the last, are not kept: beyond the task's `output-limit`.
    public var outputDropped = 0
    /// The end of the output, as text, at most 4 KiB.
    public var outputTail = ""
    /// Kernel problems reported on guests' consoles while it ran.
    public var trouble: [GuestTrouble] = []
    /// The guest's last console lines, when the guest is to blame.
    public var consoleTail: [String] = []
    /// The output's file, relative to the results directory; nil when nothing ran.
    public var outputPath: String?
    /// The file of its standard error, relative to the results directory; nil when that is not kept apart.
    public var errorsPath: String?
    /// Bytes that it wrote to standard error, when that is kept apart.
    public var errorBytes = 0
    /// How many of them, the last, are not kept.
    public var errorsDropped = 0
    /// Collected files, relative to the results directory.
    public var artifacts: [String] = []
    /// How the attempts before this one went, in order; their own `earlier` is empty.
    public var earlier: [TaskResult] = []
    /// A script's steps in order, in a run report; their ids there have neither task nor number. Events report steps separately.
    public var steps: [StepResult] = []
}

extension TaskResult {
    /// The beginning of a result; the rest is set as it becomes known.
    public init(_ id: TaskID, _ outcome: Outcome, started: Double = 0, attempts: Int = 1, message: String? = nil) {
        self.init(id: id, outcome: outcome, started: started, attempts: attempts, message: message)
    }
}

/// A problem reported by a guest's kernel: an oops, a stall, a warning.
public struct GuestTrouble: Sendable, Hashable {
    /// The guest.
    public var guest: String
    /// Its kind as in `fail-on`: `oops`, `rcu-stall`.
    public var kind: String
    /// The kernel's first line, without its time stamp.
    public var message: String
    /// That line with the console lines around it.
    public var lines: [String]

    /// Trouble as given.
    public init(guest: String, kind: String, message: String, lines: [String]) {
        self.guest = guest
        self.kind = kind
        self.message = message
        self.lines = lines
    }
}

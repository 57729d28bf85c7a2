import JSON

// The parts of events and results, as in `events.jsonl` and `results.json`. `RecordedEvent.line` has the table.

extension Outcome: JSONPart {}
extension ExitStatus: JSONPart {}
extension BootKind: JSONPart {}
extension NoteLevel: JSONPart {}

extension TaskID: JSONRecord {
    init() { self.init(task: "", guest: nil) }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try members("task", &task)
        try members("guest", &guest)
        try members("index", &index)
        try members("repetitions", &repetitions)
    }
}

extension StepID: JSONRecord {
    init() { self.init(task: TaskID(), number: 0, guest: nil, call: "", text: "", place: nil) }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try task.visit(&members)
        try members("step", &number)
        try members("on", &guest)
        try members("call", &call)
        try members("text", &text)
        try members("place", &place)
    }
}

extension StepResult: JSONRecord {
    init() { self.init(id: StepID(), outcome: .skipped) }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try id.visit(&members)
        try members("outcome", &outcome)
        try members("exit", &exit)
        try members("started", &started)
        try members("duration", &duration)
        try members("message", &message)
        try members("outputTail", &outputTail)
    }
}

/// A step of a script among the members of its task.
private struct ReportedStep: JSONRecord, Equatable {
    var step = StepResult()

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try members("guest", &step.id.guest)
        try members("call", &step.id.call)
        try members("text", &step.id.text)
        try members("place", &step.id.place)
        try members("outcome", &step.outcome)
        try members("exit", &step.exit)
        try members("started", &step.started)
        try members("duration", &step.duration)
        try members("message", &step.message)
        try members("outputTail", &step.outputTail, unless: "")
    }
}

extension TaskResult: JSONRecord {
    init() { self.init(id: TaskID(), outcome: .skipped) }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try id.visit(&members)
        try members("outcome", &outcome)
        try members("exit", &exit)
        try members("started", &started)
        try members("duration", &duration)
        try members("attempts", &attempts)
        try members("message", &message)
        try members("outputBytes", &outputBytes)
        try members("outputDropped", &outputDropped, unless: 0)
        try members("outputTail", &outputTail)
        try members("trouble", &trouble, unless: [])
        try members("consoleTail", &consoleTail)
        try members("output", &outputPath)
        try members("stderr", &errorsPath)
        try members("stderrBytes", &errorBytes, unless: 0)
        try members("stderrDropped", &errorsDropped, unless: 0)
        try members("artifacts", &artifacts)
        try members("earlier", &earlier, unless: [])
        var reported = steps.map { ReportedStep(step: $0) }
        try members("steps", &reported, unless: [])
        steps = reported.map(\.step)
    }
}

extension GuestTrouble: JSONRecord {
    init() { self.init(guest: "", kind: "", message: "", lines: []) }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try members("guest", &guest)
        try members("kind", &kind)
        try members("message", &message)
        try members("lines", &lines)
    }
}

extension HostDescription: JSONRecord {
    init() { self.init(name: "", kernel: "", cores: 0, memory: 0) }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try members("name", &name)
        try members("kernel", &kernel)
        try members("cores", &cores)
        try members("memory", &memory)
    }
}

extension RunDescription: JSONRecord {
    init() { self.init(lab: "", cell: nil, file: "", host: HostDescription(), guests: [], tasks: [], version: "") }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try members("lab", &lab)
        try members("cell", &cell)
        try members("file", &file)
        try members("version", &version)
        try members("host", &host.name)
        try members("kernel", &host.kernel)
        try members("cores", &host.cores)
        try members("memory", &host.memory)
        try members("guests", &guests)
        try members("tasks", &tasks)
    }
}

extension GuestDescription: JSONRecord {
    init() { self.init(name: "") }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try members("name", &name)
        try members("group", &group)
        try members("image", &image)
        try members("os", &os)
        try members("memory", &memory)
        try members("cpus", &cpus)
        try members("backend", &backend)
    }

    /// Its members, as events, results and plans have them.
    public var object: JSONObject { members }
}

extension AdmissionSummary: JSONRecord {
    init() { self.init(mode: "") }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        try members("mode", &mode)
        try members("peakGuests", &peakGuests)
        try members("peakMemory", &peakMemory)
        try members("heldBack", &heldBack)
        try members("parked", &parked)
        try members("reasons", &reasons)
    }
}

extension RunSummary: JSONRecord {
    init() { self.init(status: .passed, duration: 0, counts: [:]) }

    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch) {
        var word = status.word as String?
        try members("status", &word)
        try members("exitStatus", &status)
        try members("duration", &duration)
        try members("counts", &counts)
    }
}

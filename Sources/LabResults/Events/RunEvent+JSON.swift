import JSON

/// How events lie in `events.jsonl`: one JSON object per event, one per line. The shape is a promise to readers:
///
/// Every line: `seq` from 1, `t` seconds since the run's start, `time` of day in UTC, `event`, and then
///
/// | event           | members (those marked ? only when there is something to say)
/// | --------------- | ------------------------------------------------------------------------------------------------
/// | `runStarted`    | `lab`, `cell`?, `file`, `version`, `host`, `kernel`, `cores`, `memory` (bytes),
/// |                 | `guests` [{`name`, `group`, `image`, `os`, `memory`, `cpus`, `backend`}], `tasks` [task]
/// | `imageProgress` | `image`, `step`, `fraction`? (0…1)
/// | `fleetAdmitted` | `batches`, `note`?
/// | `guestDeclared` | `guest`, `group`, `image`, `os`, `memory`, `cpus`, `backend`
/// | `guestQueued`   | `guest`, `reason`
/// | `guestParked`   | `guest`, `reason`
/// | `guestBooting`  | `guest`, `backend`, `boot` (`cold`, `clone`)
/// | `guestReady`    | `guest`, `seconds`
/// | `guestEnded`    | `guest`, `orderly`, `reason`
/// | `guestReplaced` | `guest`, `reason`: it was lost, and a fresh one takes its place
/// | `guestFailed`   | `guest`, `outcome`, `message`, `consoleTail` [lines]
/// | `taskStarted`   | task, `attempt`
/// | `taskNote`      | task, `message`
/// | `stepStarted`   | task, `step` (from 1), `on`? (guest), `call`, `text`, `place`?
/// | `stepFinished`  | the same, `outcome`, `exit`?, `started`, `duration`, `message`?, `outputTail`
/// | `taskFinished`  | task, `outcome`, `exit`?, `started`, `duration`, `attempts`, `message`?, `outputBytes`,
/// |                 | `outputDropped`? (bytes beyond the limit), `outputTail`, `consoleTail` [lines], `output`? (path),
/// |                 | `artifacts` [paths], `trouble`? [`guest`, `kind`, `message`, `lines` [lines]],
/// |                 | `earlier`? [attempts before this one, with the same members]
/// | `note`          | `level` (`info`, `warning`), `message`
/// | `interrupted`   | `reason`
/// | `admissionEnded`| `mode` (`strict`, `overcommit`), `peakGuests`, `peakMemory` (bytes), `heldBack`, `parked`,
/// |                 | `reasons` [lines]
/// | `runFinished`   | `status` (word), `exitStatus`, `duration`, `counts` {outcome: number}
///
/// *task* is `task`, `guest`?, `index`, `repetitions`. Readers ignore members and events that they do not know.
extension RecordedEvent {
    /// The event as one line, without a line end.
    var line: String {
        let (name, members) = event.members
        let head: JSONObject = [
            "seq": .integer(Int64(sequence)), "t": .seconds(elapsed), "time": .string(timestamp(time)),
            "event": .string(name),
        ]
        return JSONValue.object(head + members).line
    }

    /// Reads a line back. Throws at what is no JSON, and at what is no event of this version's.
    init(line: some Sequence<UInt8>) throws {
        let members = try JSONValue(parsing: line).objectValue ?? [:]
        self.init(
            sequence: try members.int("seq"), elapsed: try members.seconds("t"),
            time: LabResults.time(try members.string("time")) ?? 0, event: try RunEvent(members))
    }
}

extension RunEvent {
    /// Its name and its members.
    fileprivate var members: (name: String, JSONObject) {
        switch self {
        case .runStarted(let description): ("runStarted", description.members)
        case .imageProgress(let image, let step, let fraction):
            (
                "imageProgress",
                ["image": .string(image), "step": .string(step), "fraction": fraction.map(JSONValue.seconds)]
            )
        case .fleetAdmitted(let batches, let note):
            ("fleetAdmitted", ["batches": .integer(Int64(batches)), "note": note.map(JSONValue.string)])
        case .guestDeclared(let guest): ("guestDeclared", guest.members(named: "guest"))
        case .guestQueued(let guest, let reason):
            ("guestQueued", ["guest": .string(guest), "reason": .string(reason)])
        case .guestParked(let guest, let reason):
            ("guestParked", ["guest": .string(guest), "reason": .string(reason)])
        case .guestBooting(let guest, let backend, let boot):
            (
                "guestBooting",
                ["guest": .string(guest), "backend": .string(backend), "boot": .string(boot.rawValue)]
            )
        case .guestReady(let guest, let seconds):
            ("guestReady", ["guest": .string(guest), "seconds": .seconds(seconds)])
        case .guestEnded(let guest, let orderly, let reason):
            ("guestEnded", ["guest": .string(guest), "orderly": .bool(orderly), "reason": .string(reason)])
        case .guestReplaced(let guest, let reason):
            ("guestReplaced", ["guest": .string(guest), "reason": .string(reason)])
        case .guestFailed(let guest, let outcome, let message, let consoleTail):
            (
                "guestFailed",
                [
                    "guest": .string(guest), "outcome": .string(outcome.rawValue), "message": .string(message),
                    "consoleTail": .strings(consoleTail),
                ]
            )
        case .taskStarted(let id, let attempt):
            ("taskStarted", id.members + ["attempt": .integer(Int64(attempt))])
        case .taskNote(let id, let message): ("taskNote", id.members + ["message": .string(message)])
        case .stepStarted(let id): ("stepStarted", id.members)
        case .stepFinished(let result): ("stepFinished", result.members)
        case .taskFinished(let result): ("taskFinished", result.members)
        case .note(let level, let message):
            ("note", ["level": .string(level.rawValue), "message": .string(message)])
        case .interrupted(let reason): ("interrupted", ["reason": .string(reason)])
        case .admissionEnded(let summary): ("admissionEnded", summary.members)
        case .runFinished(let summary): ("runFinished", summary.members)
        }
    }

    /// Reads the event of a line. Throws when it is none that this version knows.
    fileprivate init(_ members: JSONObject) throws(JSONMismatch) {
        func guest() throws(JSONMismatch) -> String { try members.string("guest") }
        func reason() throws(JSONMismatch) -> String { try members.string("reason") }
        func message() throws(JSONMismatch) -> String { try members.string("message") }
        self =
            switch try members.string("event") {
            case "runStarted": .runStarted(try RunDescription(members))
            case "imageProgress":
                .imageProgress(
                    image: try members.string("image"), step: try members.string("step"),
                    fraction: members["fraction"]?.numberValue)
            case "fleetAdmitted":
                .fleetAdmitted(batches: try members.int("batches"), note: members["note"]?.stringValue)
            case "guestDeclared": .guestDeclared(try GuestDescription(members, named: "guest"))
            case "guestQueued": .guestQueued(guest: try guest(), reason: try reason())
            case "guestParked": .guestParked(guest: try guest(), reason: try reason())
            case "guestBooting":
                .guestBooting(
                    guest: try guest(), backend: try members.string("backend"), boot: try members.word("boot"))
            case "guestReady": .guestReady(guest: try guest(), seconds: try members.seconds("seconds"))
            case "guestEnded":
                .guestEnded(guest: try guest(), orderly: try members.bool("orderly"), reason: try reason())
            case "guestReplaced": .guestReplaced(guest: try guest(), reason: try reason())
            case "guestFailed":
                .guestFailed(
                    guest: try guest(), outcome: try members.word("outcome"), message: try message(),
                    consoleTail: try members.strings("consoleTail"))
            case "taskStarted": .taskStarted(try TaskID(members), attempt: try members.int("attempt"))
            case "taskNote": .taskNote(try TaskID(members), message: try message())
            case "stepStarted": .stepStarted(try StepID(members))
            case "stepFinished": .stepFinished(try StepResult(members))
            case "taskFinished": .taskFinished(try TaskResult(members))
            case "note": .note(level: try members.word("level"), message: try message())
            case "interrupted": .interrupted(reason: try reason())
            case "admissionEnded": .admissionEnded(try AdmissionSummary(members))
            case "runFinished": .runFinished(try RunSummary(members))
            default: throw JSONMismatch("event")
            }
    }
}

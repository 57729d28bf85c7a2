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
/// |                 | `stderr`? (path), `stderrBytes`?, `stderrDropped`?
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
            "seq": sequence.json, "t": elapsed.json, "time": timestamp(time).json, "event": name.json,
        ]
        return JSONValue.object(head + members).roundedToMicroseconds.line
    }

    /// Parses a line. Throws for malformed JSON, and for events that this version does not know.
    init(line: some Sequence<UInt8>) throws {
        let members = try JSONValue(parsing: line).objectValue ?? [:]
        self.init(
            sequence: try members.value("seq"), elapsed: try members.value("t"),
            time: LabResults.time(try members.value("time")) ?? 0, event: try RunEvent(members))
    }
}

extension RunEvent {
    fileprivate var members: (name: String, JSONObject) {
        switch self {
        case .runStarted(let description): ("runStarted", description.members)
        case .imageProgress(let image, let step, let fraction):
            ("imageProgress", ["image": image.json, "step": step.json, "fraction": fraction?.json])
        case .fleetAdmitted(let batches, let note): ("fleetAdmitted", ["batches": batches.json, "note": note?.json])
        case .guestDeclared(let guest): ("guestDeclared", guest.declared)
        case .guestQueued(let guest, let reason): ("guestQueued", ["guest": guest.json, "reason": reason.json])
        case .guestParked(let guest, let reason): ("guestParked", ["guest": guest.json, "reason": reason.json])
        case .guestBooting(let guest, let backend, let boot):
            ("guestBooting", ["guest": guest.json, "backend": backend.json, "boot": boot.json])
        case .guestReady(let guest, let seconds): ("guestReady", ["guest": guest.json, "seconds": seconds.json])
        case .guestEnded(let guest, let orderly, let reason):
            ("guestEnded", ["guest": guest.json, "orderly": orderly.json, "reason": reason.json])
        case .guestReplaced(let guest, let reason): ("guestReplaced", ["guest": guest.json, "reason": reason.json])
        case .guestFailed(let guest, let outcome, let message, let consoleTail):
            (
                "guestFailed",
                [
                    "guest": guest.json, "outcome": outcome.json, "message": message.json,
                    "consoleTail": consoleTail.json,
                ]
            )
        case .taskStarted(let id, let attempt): ("taskStarted", id.members + ["attempt": attempt.json])
        case .taskNote(let id, let message): ("taskNote", id.members + ["message": message.json])
        case .stepStarted(let id): ("stepStarted", id.members)
        case .stepFinished(let result): ("stepFinished", result.members)
        case .taskFinished(let result): ("taskFinished", result.members)
        case .note(let level, let message): ("note", ["level": level.json, "message": message.json])
        case .interrupted(let reason): ("interrupted", ["reason": reason.json])
        case .admissionEnded(let summary): ("admissionEnded", summary.members)
        case .runFinished(let summary): ("runFinished", summary.members)
        }
    }

    /// Decodes a line's event. Throws when this version does not know it.
    fileprivate init(_ members: JSONObject) throws(JSONMismatch) {
        func value<Part: JSONPart>(_ key: String) throws(JSONMismatch) -> Part { try members.value(key) }
        self =
            switch try value("event") as String {
            case "runStarted": .runStarted(try RunDescription(members))
            case "imageProgress":
                .imageProgress(
                    image: try value("image"), step: try value("step"), fraction: members["fraction"]?.numberValue)
            case "fleetAdmitted": .fleetAdmitted(batches: try value("batches"), note: members["note"]?.stringValue)
            case "guestDeclared": .guestDeclared(try GuestDescription(members + ["name": members["guest"]]))
            case "guestQueued": .guestQueued(guest: try value("guest"), reason: try value("reason"))
            case "guestParked": .guestParked(guest: try value("guest"), reason: try value("reason"))
            case "guestBooting":
                .guestBooting(guest: try value("guest"), backend: try value("backend"), boot: try value("boot"))
            case "guestReady": .guestReady(guest: try value("guest"), seconds: try value("seconds"))
            case "guestEnded":
                .guestEnded(guest: try value("guest"), orderly: try value("orderly"), reason: try value("reason"))
            case "guestReplaced": .guestReplaced(guest: try value("guest"), reason: try value("reason"))
            case "guestFailed":
                .guestFailed(
                    guest: try value("guest"), outcome: try value("outcome"), message: try value("message"),
                    consoleTail: try value("consoleTail"))
            case "taskStarted": .taskStarted(try TaskID(members), attempt: try value("attempt"))
            case "taskNote": .taskNote(try TaskID(members), message: try value("message"))
            case "stepStarted": .stepStarted(try StepID(members))
            case "stepFinished": .stepFinished(try StepResult(members))
            case "taskFinished": .taskFinished(try TaskResult(members))
            case "note": .note(level: try value("level"), message: try value("message"))
            case "interrupted": .interrupted(reason: try value("reason"))
            case "admissionEnded": .admissionEnded(try AdmissionSummary(members))
            case "runFinished": .runFinished(try RunSummary(members))
            default: throw JSONMismatch("event")
            }
    }
}

extension GuestDescription {
    /// Its members in an event that is about it.
    fileprivate var declared: JSONObject {
        var rest = members
        rest["name"] = nil
        return ["guest": name.json] + rest
    }
}

extension JSONValue {
    /// Rounded for people: 0.1 + 0.2 is written as 0.3.
    fileprivate var roundedToMicroseconds: JSONValue {
        switch self {
        case .number(let value): .number(abs(value) < 1e9 ? (value * 1e6).rounded() / 1e6 : value)
        case .array(let elements): .array(elements.map(\.roundedToMicroseconds))
        case .object(let object): .object(JSONObject(object.members.map { ($0.key, $0.value.roundedToMicroseconds) }))
        default: self
        }
    }
}

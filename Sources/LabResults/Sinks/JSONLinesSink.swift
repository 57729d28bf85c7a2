/// Writes `events.jsonl`: one JSON object per event, one per line, as it happens. The shape is a promise to readers:
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
public final class JSONLinesSink: RunSink {
    private let stream: TextStream

    /// A sink that writes to the stream.
    public init(_ stream: TextStream) {
        self.stream = stream
    }

    /// Writes the event's line.
    public func receive(_ recorded: RecordedEvent) {
        stream.write(Self.line(recorded) + "\n")
    }

    /// Lines that could not be written.
    public var problems: [String] { stream.problems }

    /// The event as one line, without a line end.
    static func line(_ recorded: RecordedEvent) -> String {
        let (name, members) = members(of: recorded.event)
        let head: [(String, JSONText?)] = [
            ("seq", .integer(recorded.sequence)), ("t", .number(recorded.elapsed)),
            ("time", .string(timestamp(recorded.time))), ("event", .string(name)),
        ]
        return object(head + members).text
    }

    private typealias Members = [(String, JSONText?)]

    private static func members(of event: RunEvent) -> (String, Members) {
        switch event {
        case .runStarted(let description): return ("runStarted", members(of: description))
        case .imageProgress(let image, let step, let fraction):
            return ("imageProgress", [("image", image.json), ("step", step.json), ("fraction", fraction?.json)])
        case .fleetAdmitted(let batches, let note):
            return ("fleetAdmitted", [("batches", .integer(batches)), ("note", note?.json)])
        case .guestDeclared(let guest): return ("guestDeclared", [("guest", guest.name.json)] + members(of: guest))
        case .guestQueued(let guest, let reason):
            return ("guestQueued", [("guest", guest.json), ("reason", reason.json)])
        case .guestReplaced(let guest, let reason):
            return ("guestReplaced", [("guest", guest.json), ("reason", reason.json)])
        case .guestParked(let guest, let reason):
            return ("guestParked", [("guest", guest.json), ("reason", reason.json)])
        case .guestBooting(let guest, let backend, let boot):
            return ("guestBooting", [("guest", guest.json), ("backend", backend.json), ("boot", boot.rawValue.json)])
        case .guestReady(let guest, let seconds):
            return ("guestReady", [("guest", guest.json), ("seconds", seconds.json)])
        case .guestEnded(let guest, let orderly, let reason):
            return ("guestEnded", [("guest", guest.json), ("orderly", .bool(orderly)), ("reason", reason.json)])
        case .guestFailed(let guest, let outcome, let message, let consoleTail):
            return (
                "guestFailed",
                [
                    ("guest", guest.json), ("outcome", outcome.rawValue.json), ("message", message.json),
                    ("consoleTail", consoleTail.json),
                ]
            )
        case .taskStarted(let id, let attempt):
            return ("taskStarted", members(of: id) + [("attempt", .integer(attempt))])
        case .taskNote(let id, let message): return ("taskNote", members(of: id) + [("message", message.json)])
        case .stepStarted(let id): return ("stepStarted", members(of: id))
        case .stepFinished(let result): return ("stepFinished", members(of: result))
        case .taskFinished(let result): return ("taskFinished", members(of: result))
        case .note(let level, let message):
            return ("note", [("level", level.rawValue.json), ("message", message.json)])
        case .interrupted(let reason): return ("interrupted", [("reason", reason.json)])
        case .admissionEnded(let summary):
            return (
                "admissionEnded",
                [
                    ("mode", summary.mode.json), ("peakGuests", .integer(summary.peakGuests)),
                    ("peakMemory", .integer(Int(clamping: summary.peakMemory))),
                    ("heldBack", .integer(summary.heldBack)), ("parked", .integer(summary.parked)),
                    ("reasons", summary.reasons.json),
                ]
            )
        case .runFinished(let summary):
            let counts = summary.counts.sorted { $0.key < $1.key }.map { ($0.key, JSONText.integer($0.value)) }
            return (
                "runFinished",
                [
                    ("status", summary.status.word.json), ("exitStatus", .integer(Int(summary.status.rawValue))),
                    ("duration", summary.duration.json), ("counts", .object(counts)),
                ]
            )
        }
    }

    private static func members(of description: RunDescription) -> Members {
        let host = description.host
        return [
            ("lab", description.lab.json), ("cell", description.cell?.json), ("file", description.file.json),
            ("version", description.version.json), ("host", host.name.json), ("kernel", host.kernel.json),
            ("cores", .integer(host.cores)), ("memory", .integer(Int(clamping: host.memory))),
            ("guests", .array(description.guests.map(json))),
            ("tasks", .array(description.tasks.map { object(members(of: $0)) })),
        ]
    }

    private static func json(_ guest: GuestDescription) -> JSONText {
        object([("name", guest.name.json)] + members(of: guest))
    }

    /// All but the name.
    private static func members(of guest: GuestDescription) -> Members {
        [
            ("group", guest.group.json), ("image", guest.image.json), ("os", guest.os.json),
            ("memory", .integer(Int(clamping: guest.memory))), ("cpus", .integer(guest.cpus)),
            ("backend", guest.backend.json),
        ]
    }

    private static func members(of id: StepID) -> Members {
        members(of: id.task) + [
            ("step", .integer(id.number)), ("on", id.guest?.json), ("call", id.call.json), ("text", id.text.json),
            ("place", id.place?.json),
        ]
    }

    private static func members(of result: StepResult) -> Members {
        members(of: result.id) + [
            ("outcome", result.outcome.rawValue.json), ("exit", result.exit.map { .integer(Int($0)) }),
            ("started", result.started.json), ("duration", result.duration.json), ("message", result.message?.json),
            ("outputTail", result.outputTail.json),
        ]
    }

    private static func members(of id: TaskID) -> Members {
        [
            ("task", id.task.json), ("guest", id.guest?.json), ("index", .integer(id.index)),
            ("repetitions", .integer(id.repetitions)),
        ]
    }

    private static func members(of result: TaskResult) -> Members {
        members(of: result.id) + [
            ("outcome", result.outcome.rawValue.json), ("exit", result.exit.map { .integer(Int($0)) }),
            ("started", result.started.json), ("duration", result.duration.json),
            ("attempts", .integer(result.attempts)), ("message", result.message?.json),
            ("outputBytes", .integer(result.outputBytes)),
            ("outputDropped", result.outputDropped == 0 ? nil : .integer(result.outputDropped)),
            ("outputTail", result.outputTail.json),
            ("trouble", result.trouble.isEmpty ? nil : .array(result.trouble.map { object(members(of: $0)) })),
            ("consoleTail", result.consoleTail.json), ("output", result.outputPath?.json),
            ("artifacts", result.artifacts.json),
            ("earlier", result.earlier.isEmpty ? nil : .array(result.earlier.map { object(members(of: $0)) })),
        ]
    }

    private static func members(of trouble: GuestTrouble) -> Members {
        [
            ("guest", trouble.guest.json), ("kind", trouble.kind.json), ("message", trouble.message.json),
            ("lines", trouble.lines.json),
        ]
    }

    private static func object(_ members: Members) -> JSONText {
        .object(members.compactMap { key, value in value.map { (key, $0) } })
    }
}

extension String {
    fileprivate var json: JSONText { .string(self) }
}

extension Double {
    fileprivate var json: JSONText { .number(self) }
}

extension [String] {
    fileprivate var json: JSONText { .array(map { .string($0) }) }
}

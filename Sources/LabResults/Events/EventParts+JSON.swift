import JSON

// What the events of `events.jsonl` consist of: members written and read, side by side. `RecordedEvent.line` has the table.

extension TaskID {
    var members: JSONObject {
        [
            "task": .string(task), "guest": guest.map(JSONValue.string), "index": .integer(Int64(index)),
            "repetitions": .integer(Int64(repetitions)),
        ]
    }

    init(_ members: JSONObject) throws(JSONMismatch) {
        self.init(
            task: try members.string("task"), guest: members["guest"]?.stringValue, index: try members.int("index"),
            repetitions: try members.int("repetitions"))
    }
}

extension StepID {
    var members: JSONObject {
        task.members + [
            "step": .integer(Int64(number)), "on": guest.map(JSONValue.string), "call": .string(call),
            "text": .string(text), "place": place.map(JSONValue.string),
        ]
    }

    init(_ members: JSONObject) throws(JSONMismatch) {
        self.init(
            task: try TaskID(members), number: try members.int("step"), guest: members["on"]?.stringValue,
            call: try members.string("call"), text: try members.string("text"), place: members["place"]?.stringValue)
    }
}

extension StepResult {
    var members: JSONObject {
        id.members + [
            "outcome": .string(outcome.rawValue), "exit": exit.map { .integer(Int64($0)) },
            "started": .seconds(started), "duration": .seconds(duration), "message": message.map(JSONValue.string),
            "outputTail": .string(outputTail),
        ]
    }

    init(_ members: JSONObject) throws(JSONMismatch) {
        self.init(
            id: try StepID(members), outcome: try members.word("outcome"), exit: members.exit,
            started: try members.seconds("started"), duration: try members.seconds("duration"),
            message: members["message"]?.stringValue, outputTail: try members.string("outputTail"))
    }
}

extension TaskResult {
    var members: JSONObject {
        let ended: JSONObject = [
            "outcome": .string(outcome.rawValue), "exit": exit.map { .integer(Int64($0)) },
            "started": .seconds(started), "duration": .seconds(duration), "attempts": .integer(Int64(attempts)),
            "message": message.map(JSONValue.string), "outputBytes": .integer(Int64(outputBytes)),
            "outputDropped": outputDropped == 0 ? nil : .integer(Int64(outputDropped)),
            "outputTail": .string(outputTail),
        ]
        return id.members + ended + [
            "trouble": trouble.isEmpty ? nil : .array(trouble.map { .object($0.members) }),
            "consoleTail": .strings(consoleTail), "output": outputPath.map(JSONValue.string),
            "artifacts": .strings(artifacts),
            "earlier": earlier.isEmpty ? nil : .array(earlier.map { .object($0.members) }),
        ]
    }

    init(_ members: JSONObject) throws(JSONMismatch) {
        self.init(
            id: try TaskID(members), outcome: try members.word("outcome"), exit: members.exit,
            duration: try members.seconds("duration"), started: try members.seconds("started"),
            attempts: try members.int("attempts"), message: members["message"]?.stringValue,
            outputBytes: try members.int("outputBytes"),
            outputDropped: Int(clamping: members["outputDropped"]?.integerValue ?? 0),
            outputTail: try members.string("outputTail"),
            trouble: try members.objects("trouble").map(GuestTrouble.init),
            consoleTail: try members.strings("consoleTail"), outputPath: members["output"]?.stringValue,
            artifacts: try members.strings("artifacts"))
        earlier = try members.objects("earlier").map(TaskResult.init)
    }
}

extension GuestTrouble {
    fileprivate var members: JSONObject {
        ["guest": .string(guest), "kind": .string(kind), "message": .string(message), "lines": .strings(lines)]
    }

    fileprivate init(_ members: JSONObject) throws(JSONMismatch) {
        self.init(
            guest: try members.string("guest"), kind: try members.string("kind"),
            message: try members.string("message"), lines: try members.strings("lines"))
    }
}

extension RunDescription {
    var members: JSONObject {
        [
            "lab": .string(lab), "cell": cell.map(JSONValue.string), "file": .string(file), "version": .string(version),
            "host": .string(host.name), "kernel": .string(host.kernel), "cores": .integer(Int64(host.cores)),
            "memory": .integer(Int64(clamping: host.memory)),
            "guests": .array(guests.map { .object($0.members(named: "name")) }),
            "tasks": .array(tasks.map { .object($0.members) }),
        ]
    }

    init(_ members: JSONObject) throws(JSONMismatch) {
        let host = HostDescription(
            name: try members.string("host"), kernel: try members.string("kernel"), cores: try members.int("cores"),
            memory: try members.bytes("memory"))
        self.init(
            lab: try members.string("lab"), cell: members["cell"]?.stringValue, file: try members.string("file"),
            host: host,
            guests: try members.objects("guests").map { guest throws(JSONMismatch) in
                try GuestDescription(guest, named: "name")
            },
            tasks: try members.objects("tasks").map(TaskID.init), version: try members.string("version"))
    }
}

extension GuestDescription {
    /// Its members, the name under the key `key`.
    func members(named key: String) -> JSONObject {
        [
            key: .string(name), "group": .string(group), "image": .string(image), "os": .string(os),
            "memory": .integer(Int64(clamping: memory)), "cpus": .integer(Int64(cpus)), "backend": .string(backend),
        ]
    }

    init(_ members: JSONObject, named key: String) throws(JSONMismatch) {
        self.init(
            name: try members.string(key), group: try members.string("group"), image: try members.string("image"),
            os: try members.string("os"), memory: try members.bytes("memory"), cpus: try members.int("cpus"),
            backend: try members.string("backend"))
    }
}

extension AdmissionSummary {
    var members: JSONObject {
        [
            "mode": .string(mode), "peakGuests": .integer(Int64(peakGuests)),
            "peakMemory": .integer(Int64(clamping: peakMemory)), "heldBack": .integer(Int64(heldBack)),
            "parked": .integer(Int64(parked)), "reasons": .strings(reasons),
        ]
    }

    init(_ members: JSONObject) throws(JSONMismatch) {
        self.init(mode: try members.string("mode"))
        (peakGuests, peakMemory) = (try members.int("peakGuests"), try members.bytes("peakMemory"))
        (heldBack, parked) = (try members.int("heldBack"), try members.int("parked"))
        reasons = try members.strings("reasons")
    }
}

extension RunSummary {
    var members: JSONObject {
        let counts = counts.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.integer(Int64($0.value))) }
        return [
            "status": .string(status.word), "exitStatus": .integer(Int64(status.rawValue)),
            "duration": .seconds(duration), "counts": .object(JSONObject(counts)),
        ]
    }

    init(_ members: JSONObject) throws(JSONMismatch) {
        guard let status = ExitStatus(rawValue: Int32(clamping: try members.int("exitStatus"))) else {
            throw JSONMismatch("exitStatus")
        }
        let counts = members["counts"]?.objectValue?.members ?? []
        self.init(
            status: status, duration: try members.seconds("duration"),
            counts: Dictionary(uniqueKeysWithValues: counts.map { ($0.key, Int(clamping: $0.value.integerValue ?? 0)) })
        )
    }
}

import JSON

/// A client's message, taken apart.
struct QMPRequest {
    let command: String
    let arguments: JSONObject
    let id: JSONValue?

    /// Reads a message. Throws what is wrong with it, in QEMU's words, and the id if there is one.
    init(parsing bytes: [UInt8]) throws(QMPRefusal) {
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw QMPRefusal("JSON parse error, \(error)")
        }
        guard case .object(let members) = value else { throw QMPRefusal("QMP input must be a JSON object") }
        id = members["id"]
        for key in members.keys.sorted() where !["execute", "arguments", "id"].contains(key) {
            throw QMPRefusal("QMP input member '\(key)' is unexpected", id: id)
        }
        guard let execute = members["execute"] else {
            throw QMPRefusal("QMP input lacks member 'execute'", id: id)
        }
        guard let command = execute.stringValue else {
            throw QMPRefusal("QMP input member 'execute' must be a string", id: id)
        }
        self.command = command
        switch members["arguments"] {
        case nil: arguments = [:]
        case .object(let arguments): self.arguments = arguments
        default: throw QMPRefusal("QMP input member 'arguments' must be an object", id: id)
        }
    }
}

/// Why a message is refused.
struct QMPRefusal: Error {
    let kind: QMPMessage.ErrorClass
    let description: String
    let id: JSONValue?

    init(_ description: String, _ kind: QMPMessage.ErrorClass = .generic, id: JSONValue? = nil) {
        self.kind = kind
        self.description = description
        self.id = id
    }
}

/// One command that the monitor knows.
struct QMPCommand: Sendable {
    typealias Answer = @Sendable (Result<JSONValue, ControlFailure>) -> Void

    let name: String
    /// Its arguments, all of them strings that must be there.
    let parameters: [String]
    /// Does it, given its arguments in order, and answers once, at once or later.
    let run: @Sendable (any ControlledMachine, [String], @escaping Answer) -> Void

    /// All but `qmp_capabilities`, which belongs to the connection.
    static let all: [QMPCommand] = [
        query("query-status") { machine in
            let status = machine.status
            return [
                "status": .string(status.rawValue), "running": .bool(status == .running), "singlestep": false,
            ]
        },
        query("query-name") { ["name": .string($0.name)] },
        query("query-version") { _ in QMPMessage.version },
        query("query-commands") { _ in .array(names.map { ["name": .string($0)] }) },
        query("query-kvm") { _ in ["enabled": true, "present": true] },
        query("query-cpus-fast") { machine in
            .array(machine.threadIDs.enumerated().map { processor(Int64($0.offset), thread: $0.element) })
        },
        action("stop") { $0.stop($1) },
        action("cont") { $0.resume($1) },
        action("system_reset") { $0.reset($1) },
        action("system_powerdown") { machine, completion in
            machine.powerButton()
            completion(.success(()))
        },
        QMPCommand(name: "set-action", parameters: ["shutdown"]) { machine, arguments, answer in
            guard let action = ControlEvent.ShutdownAction(rawValue: arguments[0]) else {
                let refusal = "Parameter 'shutdown' does not accept value '\(arguments[0])'"
                return answer(.failure(ControlFailure(refusal)))
            }
            machine.setShutdownAction(action)
            answer(.success([:]))
        },
        QMPCommand(name: "snapshot-save", parameters: ["path"]) { machine, arguments, answer in
            machine.saveSnapshot(arguments[0]) { answer($0.map { [:] }) }
        },
        action("quit") { machine, completion in
            // The answer is on its way before the machine ends.
            completion(.success(()))
            machine.quit()
        },
    ]

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    /// The names of all commands in order.
    static let names = (all.map(\.name) + ["qmp_capabilities"]).sorted()

    /// The command of that name; nil when there is none.
    static func named(_ name: String) -> QMPCommand? { byName[name] }

    /// A request's arguments in order. Throws what is wrong with them, in QEMU's words.
    func arguments(of request: QMPRequest) throws(QMPRefusal) -> [String] {
        if let key = request.arguments.keys.filter({ !parameters.contains($0) }).min() {
            throw QMPRefusal("Parameter '\(key)' is unexpected", id: request.id)
        }
        var arguments: [String] = []
        for key in parameters {
            guard let value = request.arguments[key] else {
                throw QMPRefusal("Parameter '\(key)' is missing", id: request.id)
            }
            guard let text = value.stringValue else {
                throw QMPRefusal("Invalid parameter type for '\(key)', expected: string", id: request.id)
            }
            arguments.append(text)
        }
        return arguments
    }

    private static func query(
        _ name: String, _ answer: @escaping @Sendable (any ControlledMachine) -> JSONValue
    ) -> QMPCommand {
        QMPCommand(name: name, parameters: []) { machine, _, reply in reply(.success(answer(machine))) }
    }

    private static func action(
        _ name: String,
        _ run: @escaping @Sendable (any ControlledMachine, @escaping ControlCompletion) -> Void
    ) -> QMPCommand {
        QMPCommand(name: name, parameters: []) { machine, _, answer in run(machine) { answer($0.map { [:] }) } }
    }

    private static func processor(_ index: Int64, thread: Int32) -> JSONValue {
        [
            "cpu-index": .integer(index), "thread-id": .integer(Int64(thread)), "target": "x86_64",
            "qom-path": .string("/machine/cpu[\(index)]"),
            "props": ["socket-id": 0, "core-id": .integer(index), "thread-id": 0],
        ]
    }
}

import JSON
import QMP

struct MonitorCommand: Sendable {
    typealias Answer = @Sendable (Result<JSONValue, QMPRefusal>) -> Void

    let name: QMPCommand.Name
    /// The names of its arguments, all required strings.
    let parameters: [String]
    /// Executes it with its arguments in order, and answers once, at once or later.
    let run: @Sendable (any ControlledMachine, [String], @escaping Answer) -> Void

    /// All but `qmp_capabilities`, which belongs to the connection.
    static let all: [MonitorCommand] = [
        query(.queryStatus) { $0.status.answer },
        query("query-name") { ["name": .string($0.name)] },
        query("query-version") { _ in MonitorVersion.answer },
        query("query-commands") { _ in .array(names.map { ["name": .string($0)] }) },
        query("query-kvm") { _ in ["enabled": true, "present": true] },
        query("query-cpus-fast") { machine in
            .array(machine.threadIDs.enumerated().map { processor(Int64($0.offset), thread: $0.element) })
        },
        action(.stop) { $0.stop($1) },
        action(.resume) { $0.resume($1) },
        action(.reset) { $0.reset($1) },
        action(.powerButton) { machine, completion in
            machine.powerButton()
            completion(.success(()))
        },
        MonitorCommand(name: .setAction, parameters: [QMPCommand.Argument.shutdown]) { machine, arguments, answer in
            guard let action = ShutdownAction(rawValue: arguments[0]) else {
                let refusal = "Parameter 'shutdown' does not accept value '\(arguments[0])'"
                return answer(.failure(QMPRefusal(refusal)))
            }
            machine.setShutdownAction(action)
            answer(.success([:]))
        },
        MonitorCommand(name: .saveSnapshot, parameters: [QMPCommand.Argument.path]) { machine, arguments, answer in
            machine.saveSnapshot(arguments[0]) { answer($0.map { [:] }) }
        },
        action(.quit) { machine, completion in
            // The answer is sent before the machine ends.
            completion(.success(()))
            machine.quit()
        },
    ]

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    static let names = (all.map(\.name) + [.negotiate]).map(\.rawValue).sorted()

    static func named(_ name: QMPCommand.Name) -> MonitorCommand? { byName[name] }

    /// A command's arguments in order. Throws QEMU's error messages.
    func arguments(of request: QMPCommand) throws(QMPRefusal) -> [String] {
        if let key = request.arguments.keys.filter({ !parameters.contains($0) }).min() {
            throw QMPRefusal("Parameter '\(key)' is unexpected")
        }
        var arguments: [String] = []
        for key in parameters {
            guard let value = request.arguments[key] else {
                throw QMPRefusal("Parameter '\(key)' is missing")
            }
            guard let text = value.stringValue else {
                throw QMPRefusal("Invalid parameter type for '\(key)', expected: string")
            }
            arguments.append(text)
        }
        return arguments
    }

    private static func query(
        _ name: QMPCommand.Name, _ answer: @escaping @Sendable (any ControlledMachine) -> JSONValue
    ) -> MonitorCommand {
        MonitorCommand(name: name, parameters: []) { machine, _, reply in reply(.success(answer(machine))) }
    }

    private static func action(
        _ name: QMPCommand.Name,
        _ run: @escaping @Sendable (any ControlledMachine, @escaping ControlCompletion) -> Void
    ) -> MonitorCommand {
        MonitorCommand(name: name, parameters: []) { machine, _, answer in run(machine) { answer($0.map { [:] }) } }
    }

    private static func processor(_ index: Int64, thread: Int32) -> JSONValue {
        [
            "cpu-index": .integer(index), "thread-id": .integer(Int64(thread)), "target": "x86_64",
            "qom-path": .string("/machine/cpu[\(index)]"),
            "props": ["socket-id": 0, "core-id": .integer(index), "thread-id": 0],
        ]
    }
}

extension MonitorVersion {
    /// The answer to `query-version`; `package` names the program whose version it is.
    static let answer: JSONValue = [
        "qemu": [
            "major": .integer(Int64(numbers.major)), "minor": .integer(Int64(numbers.minor)),
            "micro": .integer(Int64(numbers.micro)),
        ],
        "package": .string("vmlab-vmm \(text)"),
    ]
}

import JSON

/// A message of a machine's monitor.
package enum QMPMessage: Sendable, Hashable {
    /// The first message of a connection: the program, by its answer to `query-version`.
    case greeting(version: JSONValue)
    /// Something happened to the machine.
    case event(QMPEvent)
    /// What a command returned, with the command's id.
    case answer(JSONValue, id: JSONValue?)
    /// Why a command was not done, with its id.
    case refusal(QMPRefusal, id: JSONValue?)

    /// Reads a message; nil for an object that is none.
    package init?(_ json: JSONValue) {
        let id = json["id"]
        if let greeting = json["QMP"] {
            self = .greeting(version: greeting["version"] ?? .null)
        } else if let event = QMPEvent(json) {
            self = .event(event)
        } else if let error = json["error"] {
            let kind = error["class"]?.stringValue.flatMap(QMPRefusal.Kind.init) ?? .generic
            self = .refusal(QMPRefusal(error["desc"]?.stringValue ?? "no reason given", kind), id: id)
        } else if let value = json["return"] {
            self = .answer(value, id: id)
        } else {
            return nil
        }
    }

    package var json: JSONValue {
        switch self {
        case .greeting(let version): ["QMP": ["version": version, "capabilities": []]]
        case .event(let event): event.json
        case .answer(let value, let id): ["return": value, "id": id]
        case .refusal(let refusal, let id):
            ["error": ["class": .string(refusal.kind.rawValue), "desc": .string(refusal.message)], "id": id]
        }
    }
}

/// Why a command was refused.
package struct QMPRefusal: Error, Sendable, Hashable {
    /// The error classes that clients distinguish.
    package enum Kind: String, Sendable, Hashable {
        /// There is no such command, or not at this time.
        case commandNotFound = "CommandNotFound"
        case generic = "GenericError"
    }

    package var kind: Kind
    package var message: String

    package init(_ message: String, _ kind: Kind = .generic) {
        self.kind = kind
        self.message = message
    }
}

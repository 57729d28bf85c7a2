import JSON

/// A client's command to a machine.
package struct QMPCommand: Sendable, Hashable {
    package typealias Name = QMPName<QMPCommand>

    /// The names of arguments that both sides know.
    package enum Argument {
        package static let shutdown = "shutdown"
        package static let path = "path"
    }

    package var name: Name
    package var arguments: JSONObject
    /// Identifies the answer.
    package var id: JSONValue?

    package init(_ name: Name, _ arguments: JSONObject = [:], id: JSONValue? = nil) {
        self.name = name
        self.arguments = arguments
        self.id = id
    }

    package var json: JSONValue {
        [
            "execute": .string(name.rawValue), "id": id,
            "arguments": arguments.isEmpty ? nil : .object(arguments),
        ]
    }

    /// Reads a message. Throws what is wrong with it, in QEMU's words.
    package init(_ json: JSONValue) throws(QMPRefusal) {
        guard case .object(let members) = json else { throw QMPRefusal("QMP input must be a JSON object") }
        id = members["id"]
        for key in members.keys.sorted() where !["execute", "arguments", "id"].contains(key) {
            throw QMPRefusal("QMP input member '\(key)' is unexpected")
        }
        guard let execute = members["execute"] else {
            throw QMPRefusal("QMP input lacks member 'execute'")
        }
        guard let name = execute.stringValue else {
            throw QMPRefusal("QMP input member 'execute' must be a string")
        }
        self.name = Name(rawValue: name)
        switch members["arguments"] {
        case nil: arguments = [:]
        case .object(let arguments): self.arguments = arguments
        default: throw QMPRefusal("QMP input member 'arguments' must be an object")
        }
    }
}

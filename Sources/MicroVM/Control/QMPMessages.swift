import Glibc
import JSON

/// What the monitor says, in the form of the QEMU Machine Protocol.
enum QMPMessage {
    /// The classes of errors that clients tell apart.
    enum ErrorClass: String {
        case commandNotFound = "CommandNotFound"
        case generic = "GenericError"
    }

    /// What a client is greeted with.
    static let greeting: JSONValue = ["QMP": ["version": version, "capabilities": []]]

    /// Whose number it is, `package` says.
    static let version: JSONValue = [
        "qemu": [
            "major": .integer(Int64(MonitorVersion.numbers.major)),
            "minor": .integer(Int64(MonitorVersion.numbers.minor)),
            "micro": .integer(Int64(MonitorVersion.numbers.micro)),
        ],
        "package": .string("vmlab-vmm \(MonitorVersion.text)"),
    ]

    static func answer(_ value: JSONValue, id: JSONValue?) -> JSONValue {
        ["return": value, "id": id]
    }

    static func error(_ kind: ErrorClass, _ description: String, id: JSONValue?) -> JSONValue {
        ["error": ["class": .string(kind.rawValue), "desc": .string(description)], "id": id]
    }

    static func event(_ event: ControlEvent) -> JSONValue {
        let (name, data): (String, JSONValue?) =
            switch event {
            case .shutdown(let cause): ("SHUTDOWN", data(cause))
            case .reset(let cause): ("RESET", data(cause))
            case .stopped: ("STOP", nil)
            case .resumed: ("RESUME", nil)
            case .powerButton: ("POWERDOWN", nil)
            case .guestPanicked: ("GUEST_PANICKED", ["action": "run"])
            }
        return ["timestamp": timestamp, "event": .string(name), "data": data]
    }

    private static func data(_ cause: ControlEvent.Cause) -> JSONValue {
        ["guest": .bool(cause.isGuest), "reason": .string(cause.rawValue)]
    }

    private static var timestamp: JSONValue {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return ["seconds": .integer(Int64(now.tv_sec)), "microseconds": .integer(Int64(now.tv_nsec / 1000))]
    }
}

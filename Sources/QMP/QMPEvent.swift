import Glibc
import JSON

/// An event of a machine, whatever caused it.
package struct QMPEvent: Sendable, Hashable {
    package typealias Name = QMPName<QMPEvent>

    /// Why a machine was shut down or reset.
    package enum Cause: String, Sendable, Hashable {
        case guestShutdown = "guest-shutdown"
        case guestReset = "guest-reset"
        case quit = "host-qmp-quit"
        case systemReset = "host-qmp-system-reset"
        case signal = "host-signal"
        /// Ctrl-A x on the terminal.
        case userInterface = "host-ui"
        case hostError = "host-error"
    }

    package var name: Name
    package var data: JSONObject
    /// When it happened, in microseconds of the machine's clock since 1970.
    package var time: Int64

    /// An event as given; by default at the current time.
    package init(_ name: Name, _ data: JSONObject = [:], time: Int64 = QMPEvent.now) {
        self.name = name
        self.data = data
        self.time = time
    }

    package static func shutdown(_ cause: Cause) -> QMPEvent { QMPEvent(.shutdown, data(cause)) }

    package static func reset(_ cause: Cause) -> QMPEvent { QMPEvent(.reset, data(cause)) }

    /// Whether the guest caused the shutdown or reset.
    package var isByGuest: Bool { data["guest"] == true }

    private static func data(_ cause: Cause) -> JSONObject {
        let isByGuest = cause == .guestShutdown || cause == .guestReset
        return ["guest": .bool(isByGuest), "reason": .string(cause.rawValue)]
    }

    package static var now: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    }
}

extension QMPEvent {
    init?(_ json: JSONValue) {
        guard let name = json["event"]?.stringValue else { return nil }
        let seconds = json["timestamp"]?["seconds"]?.integerValue ?? 0
        let microseconds = json["timestamp"]?["microseconds"]?.integerValue ?? 0
        self.init(
            Name(rawValue: name), json["data"]?.objectValue ?? [:], time: seconds &* 1_000_000 &+ microseconds)
    }

    var json: JSONValue {
        let (seconds, microseconds) = time.quotientAndRemainder(dividingBy: 1_000_000)
        return [
            "timestamp": ["seconds": .integer(seconds), "microseconds": .integer(microseconds)],
            "event": .string(name.rawValue), "data": data.isEmpty ? nil : .object(data),
        ]
    }
}

/// The name of a QMP command or event. Those that vmlab uses have constants.
package struct QMPName<Subject>: RawRepresentable, Sendable, Hashable, ExpressibleByStringLiteral {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }
    package init(stringLiteral value: String) { rawValue = value }
}

extension QMPName<QMPCommand> {
    /// Ends the negotiation that a connection begins with.
    package static var negotiate: Self { "qmp_capabilities" }
    /// Asks for the machine's `RunState`.
    package static var queryStatus: Self { "query-status" }
    /// Holds the processors.
    package static var stop: Self { "stop" }
    /// Lets the processors run.
    package static var resume: Self { "cont" }
    /// Back to power-on.
    package static var reset: Self { "system_reset" }
    package static var powerButton: Self { "system_powerdown" }
    /// Says, as `shutdown`, which `ShutdownAction` there is to be.
    package static var setAction: Self { "set-action" }
    /// Saves a machine of vmlab-vmm under `path`.
    package static var saveSnapshot: Self { "snapshot-save" }
    package static var quit: Self { "quit" }
}

extension QMPName<QMPEvent> {
    /// The machine goes off.
    package static var shutdown: Self { "SHUTDOWN" }
    package static var reset: Self { "RESET" }
    /// The processors are held.
    package static var stop: Self { "STOP" }
    /// The processors run again.
    package static var resume: Self { "RESUME" }
    package static var powerdown: Self { "POWERDOWN" }
    package static var guestPanicked: Self { "GUEST_PANICKED" }
}

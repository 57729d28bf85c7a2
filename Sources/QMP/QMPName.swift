/// The name of a command or an event in QMP. Those that vmlab uses have a constant; both programs know more.
public struct QMPName<Subject>: RawRepresentable, Sendable, Hashable, ExpressibleByStringLiteral {
    /// The name in QMP.
    public let rawValue: String

    /// Any name.
    public init(rawValue: String) { self.rawValue = rawValue }
    /// Any name.
    public init(stringLiteral value: String) { rawValue = value }
}

extension QMPName<QMPCommand> {
    /// Ends the negotiation that a connection begins with.
    public static var negotiate: Self { "qmp_capabilities" }
    /// Asks for the machine's `RunState`.
    public static var queryStatus: Self { "query-status" }
    /// Holds the processors.
    public static var stop: Self { "stop" }
    /// Lets the processors run.
    public static var resume: Self { "cont" }
    /// Back to power-on.
    public static var reset: Self { "system_reset" }
    /// Presses the power button.
    public static var powerButton: Self { "system_powerdown" }
    /// Says, as `shutdown`, which `ShutdownAction` there is to be.
    public static var setAction: Self { "set-action" }
    /// Saves a machine of vmlab-vmm under `path`.
    public static var saveSnapshot: Self { "snapshot-save" }
    /// Ends the machine.
    public static var quit: Self { "quit" }
}

extension QMPName<QMPEvent> {
    /// The machine goes off.
    public static var shutdown: Self { "SHUTDOWN" }
    /// The machine was reset.
    public static var reset: Self { "RESET" }
    /// The processors are held.
    public static var stop: Self { "STOP" }
    /// The processors run again.
    public static var resume: Self { "RESUME" }
    /// The power button was pressed.
    public static var powerdown: Self { "POWERDOWN" }
    /// The guest's kernel panicked.
    public static var guestPanicked: Self { "GUEST_PANICKED" }
}

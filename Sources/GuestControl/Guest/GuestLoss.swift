import LabResults

/// Why a guest can no longer be used.
public struct GuestLoss: Error, Sendable, Hashable, CustomStringConvertible {
    /// `panicked` or `error`.
    public var outcome: Outcome
    /// What happened, one line.
    public var message: String
    /// The last lines of COM1.
    public var consoleTail: [String]
    /// Whether the guest itself is the cause, by its kernel's messages or a failed command. Otherwise the host may be, by being
    /// overloaded or killing the machine, and a retry may succeed.
    public var isGuestsDoing: Bool

    /// Whether its `on-clone` commands are the cause, so that neither its golden is to blame nor would a boot do instead.
    package var isHooksDoing = false

    package init(outcome: Outcome, message: String, consoleTail: [String], isGuestsDoing: Bool = false) {
        self.outcome = outcome
        self.message = message
        self.consoleTail = consoleTail
        self.isGuestsDoing = isGuestsDoing
    }

    /// The message.
    public var description: String { message }
}

import LabResults

/// Why a guest can no longer be used.
public struct GuestLoss: Error, Sendable, Hashable, CustomStringConvertible {
    /// `panicked` or `error`.
    public var outcome: Outcome
    /// What happened, one line.
    public var message: String
    /// What COM1 said last.
    public var consoleTail: [String]
    /// Whether the guest itself is why: its kernel's words or a command's failure tell so. Else the host can be, by being busy or
    /// by killing the machine, and another try may end well.
    public var isGuestsDoing: Bool

    package init(outcome: Outcome, message: String, consoleTail: [String], isGuestsDoing: Bool = false) {
        self.outcome = outcome
        self.message = message
        self.consoleTail = consoleTail
        self.isGuestsDoing = isGuestsDoing
    }

    /// The message.
    public var description: String { message }
}

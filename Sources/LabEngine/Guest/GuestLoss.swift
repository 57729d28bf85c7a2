import LabResults

/// Why a guest can no longer be used.
public struct GuestLoss: Error, Sendable, Hashable, CustomStringConvertible {
    /// `panicked` or `error`.
    public var outcome: Outcome
    /// What happened, one line.
    public var message: String
    /// What COM1 said last.
    public var consoleTail: [String]

    /// The message.
    public var description: String { message }
}

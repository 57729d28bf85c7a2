import LabResults

/// Why a guest can no longer be used.
struct GuestLoss: Error, Sendable, Hashable {
    /// `panicked` or `error`.
    var outcome: Outcome
    /// What happened, one line.
    var message: String
    /// What COM1 said last.
    var consoleTail: [String]
    /// Whether it lives and only a command that cannot be interrupted keeps it from its prompt.
    var isStubborn = false
}

/// What a guest's kernel said went wrong in it: an oops, a stall, a warning.
public struct GuestTrouble: Sendable, Hashable {
    /// The guest.
    public var guest: String
    /// What it was, as `fail-on` names it: `oops`, `rcu-stall`.
    public var kind: String
    /// The kernel's first line, without its time stamp.
    public var message: String
    /// That line with what the console said before and after it.
    public var lines: [String]

    /// Trouble as given.
    public init(guest: String, kind: String, message: String, lines: [String]) {
        self.guest = guest
        self.kind = kind
        self.message = message
        self.lines = lines
    }
}

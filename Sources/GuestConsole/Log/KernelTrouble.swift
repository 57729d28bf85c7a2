/// A report of a kernel that something is wrong in it.
public struct KernelTrouble: Sendable, Hashable {
    /// What happened to the guest, as people name it.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case panic, bugcheck
        case oops, bug, kasan, kfence, kcsan, kmsan, ubsan, lockdep
        case hungTask = "hung-task"
        case rcuStall = "rcu-stall"
        case softLockup = "soft-lockup"
        case hardLockup = "hard-lockup"
        case warning, oom

        /// How bad it is.
        public var severity: Severity {
            switch self {
            case .panic, .bugcheck: .fatal
            case .warning, .oom, .kcsan: .minor
            default: .grave
            }
        }
    }

    /// How bad trouble is.
    public enum Severity: Int, Sendable, Hashable, Comparable {
        /// Part of what some tests do.
        case minor
        /// The kernel is wrong; the guest may run on.
        case grave
        /// The guest's end: nothing that runs in it will answer any more.
        case fatal

        /// By how bad it is.
        public static func < (one: Severity, other: Severity) -> Bool { one.rawValue < other.rawValue }
    }

    /// Where in a line the text must stand.
    public enum Place: Sendable, Hashable {
        /// At the start of the message, after its time stamp.
        case start
        /// Anywhere in the line.
        case anywhere
    }

    /// What happened to the guest.
    public var kind: Kind
    /// All of these occur in the line, in this order: the first at `place`, the others behind it.
    public var texts: [String]
    /// Where the first text stands.
    public var place: Place

    init(_ kind: Kind, _ texts: String..., place: Place = .start) {
        self.kind = kind
        self.texts = texts
        self.place = place
    }

    /// Whether `message`, a line without its time stamp, is this report.
    func matches(_ message: Substring) -> Bool {
        guard let first = texts.first else { return false }
        var rest = message[...]
        if place == .start {
            guard rest.hasPrefix(first) else { return false }
            rest = rest.dropFirst(first.count)
        }
        for text in place == .start ? texts.dropFirst() : texts[...] {
            guard let found = rest.firstRange(of: text) else { return false }
            rest = rest[found.upperBound...]
        }
        return true
    }
}

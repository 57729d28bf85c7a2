/// The kinds of kernel problems, as named by `fail-on`.
public enum TroubleKind: String, Sendable, Hashable, CaseIterable {
    case oops, bug, kasan, kfence, kcsan, kmsan, ubsan, lockdep
    case hungTask = "hung-task"
    case rcuStall = "rcu-stall"
    case softLockup = "soft-lockup"
    case hardLockup = "hard-lockup"
    case warning, oom

    /// The default of `fail-on`: everything that no test ever wants.
    public static let grave = Set(allCases).subtracting([.warning, .oom, .kcsan])
}

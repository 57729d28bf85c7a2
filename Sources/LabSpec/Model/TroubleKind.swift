/// What a guest's kernel can say went wrong, as `fail-on` names it.
public enum TroubleKind: String, Sendable, Hashable, CaseIterable {
    case oops, bug, kasan, kfence, kcsan, kmsan, ubsan, lockdep
    case hungTask = "hung-task"
    case rcuStall = "rcu-stall"
    case softLockup = "soft-lockup"
    case hardLockup = "hard-lockup"
    case warning, oom

    /// What fails a task unless the lab says otherwise: all that is never what a test wants.
    public static let grave = Set(allCases).subtracting([.warning, .oom, .kcsan])
}

import Glibc

/// Limits that this process is under.
public enum ProcessLimits {
    /// How many bytes of address space it may have (`ulimit -v`); nil without a limit.
    public static var addressSpace: UInt64? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur != .max else {
            return nil
        }
        return UInt64(limit.rlim_cur)
    }

    /// Allows as many open files as the host lets this process have: every guest takes half a dozen, and the usual 1024 are
    /// gone with a fleet of 150. Children inherit it. Where that is refused all stays as it is.
    public static func raiseOpenFiles() {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        // No program here counts to infinity, but some that are started by others do.
        limit.rlim_cur = min(limit.rlim_max, 1 << 17)
        _ = setrlimit(resource, &limit)
    }
}

import Glibc

/// Limits that this process is under.
public enum ProcessLimits {
    /// The address-space limit in bytes (`ulimit -v`); nil without a limit.
    public static var addressSpace: UInt64? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur != .max else {
            return nil
        }
        return UInt64(limit.rlim_cur)
    }

    /// Raises the limit of open files as far as the host allows: each guest uses about six, and the default of 1024 is exhausted
    /// by a fleet of 150. Children inherit it. If refused, the limit stays.
    public static func raiseOpenFiles() {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        // Some child programs loop over all descriptors up to the limit.
        limit.rlim_cur = min(limit.rlim_max, 1 << 17)
        _ = setrlimit(resource, &limit)
    }
}

import CLinux
import Glibc

extension SystemCallFilter {
    /// What a program of plain threads needs once all its threads run and all its descriptors are open: reading, writing and
    /// waiting, memory, locks, time and exit. It starts no thread or process, opens no socket, sends only to connected peers,
    /// passes no descriptors, maps no code, and signals, limits and inspects only itself.
    ///
    /// `ioctls` are its devices' requests, the most frequent first; those of terminals are always allowed. `opensFiles` allows
    /// opening and removing files, which `Sandbox.confineFiles` limits to folders, `accepts` accepting clients, `connects`
    /// connecting its sockets.
    public static func running(
        ioctls: [UInt32], opensFiles: Bool, accepts: Bool = false, connects: Bool = false
    ) -> SystemCallFilter {
        let terminal = [TCGETS, TCSETS, TCSETSW, TIOCGWINSZ, FIONREAD].map { UInt32(truncatingIfNeeded: $0) }
        let descriptorFlags = [F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC].map { UInt32(bitPattern: $0) }
        let itself = UInt32(bitPattern: getpid())
        let code = UInt32(bitPattern: PROT_EXEC)
        let emptyPath: UInt32 = 0x1000  // AT_EMPTY_PATH: the C library's fstat
        let limited: [Rule] = [
            // No address: only to the connected peer.
            .allowWhere(SYS_sendto, [.isZero(argument: 4)]),
            .allowWhere(SYS_mmap, [.hasNone(argument: 2, of: code)]),
            .allowWhere(SYS_mprotect, [.hasNone(argument: 2, of: code)]),
            .allowWhere(SYS_tgkill, [.isOneOf(argument: 0, [itself])]),
            .allowWhere(SYS_fcntl, [.isOneOf(argument: 1, descriptorFlags)]),
            .allowWhere(SYS_newfstatat, [.isOneOf(argument: 3, [emptyPath])]),
            .allowWhere(SYS_prctl, [.isOneOf(argument: 0, [UInt32(bitPattern: PR_SET_NAME)])]),
            // Reading its own limits.
            .allowWhere(SYS_prlimit64, [.isOneOf(argument: 0, [0, itself]), .isZero(argument: 2)]),
            .allowWhere(SYS_sched_getaffinity, [.isOneOf(argument: 0, [0, itself])]),
        ]
        return SystemCallFilter(
            [.allowWhere(SYS_ioctl, [.isOneOf(argument: 1, ioctls + terminal)])]
                + allow(waiting + transfers + time) + limited + allow(memory + signals + process)
                + (accepts ? [.allow(SYS_accept4)] : [])
                + paths.map { opensFiles ? .allow($0) : .fail($0, errno: EACCES) }
                + [connects ? .allow(SYS_connect) : .fail(SYS_connect, errno: EACCES)])
    }

    private static func allow(_ calls: [Int32]) -> [Rule] { calls.map { .allow($0) } }

    private static var waiting: [Int32] {
        [SYS_futex, SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl, SYS_poll, SYS_ppoll, SYS_restart_syscall]
    }

    private static var transfers: [Int32] {
        [
            SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev,
            SYS_preadv2, SYS_pwritev2, SYS_recvfrom, SYS_close, SYS_lseek, SYS_fstat, SYS_fallocate, SYS_ftruncate,
            SYS_fsync, SYS_fdatasync,
        ]
    }

    private static var time: [Int32] {
        [
            SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
            SYS_timerfd_settime, SYS_timerfd_gettime,
        ]
    }

    private static var memory: [Int32] {
        [SYS_munmap, SYS_madvise, SYS_mremap, SYS_brk, SYS_msync, SYS_mincore]
    }

    private static var signals: [Int32] {
        [SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_sigaltstack]
    }

    private static var process: [Int32] {
        [
            SYS_exit_group, SYS_exit, SYS_getpid, SYS_gettid, SYS_getrandom, SYS_sched_yield, SYS_getrusage,
            // A thread's first calls, with all signals blocked: it may just be starting when the filter is installed.
            SYS_rseq, SYS_set_robust_list,
        ]
    }

    /// Calls that take a path. Where not allowed they fail like an unreadable file: the C library tries some and continues without.
    private static var paths: [Int32] {
        [
            SYS_openat, SYS_open, SYS_unlink, SYS_unlinkat, SYS_rename, SYS_renameat2, SYS_mkdir, SYS_rmdir, SYS_access,
            SYS_readlink,
        ]
    }
}

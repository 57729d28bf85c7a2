extension KernelTrouble {
    /// Linux's words from 3.10 to 6.19 and Windows'. The first that matches counts.
    ///
    /// A program's output does not start a line as the kernel's log does. Where versions differ, they stand behind the words:
    /// a new kernel message is a new line here, and one in `KernelTextTests`.
    public static let known: [KernelTrouble] = fatal + memory + locking + stalls + faults + bugs + minor

    private static let fatal = [
        KernelTrouble(.panic, "Kernel panic - not syncing: "),
        KernelTrouble(.bugcheck, "CLASSNAME=\"BLUESCREEN\"", place: .anywhere),
        KernelTrouble(.bugcheck, "!SAC>"),
    ]

    /// The sanitizers'.
    private static let memory = [
        KernelTrouble(.kasan, "BUG: KASAN: "),  // from 4.0
        KernelTrouble(.kfence, "BUG: KFENCE: "),  // from 5.12
        KernelTrouble(.kcsan, "BUG: KCSAN: "),  // from 5.8
        KernelTrouble(.kmsan, "BUG: KMSAN: "),  // from 6.1
        KernelTrouble(.ubsan, "UBSAN: "),  // from 4.5
    ]

    /// Lockdep's and RCU's.
    private static let locking = [
        KernelTrouble(.lockdep, "WARNING: possible ", " detected"),  // from 4.11: circular, recursive, irq inversion
        KernelTrouble(.lockdep, "[ INFO: possible ", " detected"),  // to 4.10
        KernelTrouble(.lockdep, "WARNING: inconsistent lock state"),  // from 4.11
        KernelTrouble(.lockdep, "[ INFO: inconsistent lock state"),  // to 4.10
        KernelTrouble(.lockdep, "WARNING: suspicious RCU usage"),  // from 4.11
        KernelTrouble(.lockdep, "[ INFO: suspicious RCU usage"),  // to 4.10
        KernelTrouble(.lockdep, "WARNING: ", "-safe -> ", "-unsafe lock order detected"),  // from 4.11
        KernelTrouble(.lockdep, "[ INFO: ", "-safe -> ", "-unsafe lock order detected"),  // to 4.10
        KernelTrouble(.lockdep, "WARNING: bad ", " detected!"),  // from 4.11: unlock balance, contention
        KernelTrouble(.lockdep, "[ BUG: bad ", " detected!"),  // to 4.10
        KernelTrouble(.lockdep, "WARNING: held lock freed!"),  // from 4.11
        KernelTrouble(.lockdep, "[ BUG: held lock freed!"),  // to 4.10
        KernelTrouble(.lockdep, "WARNING: lock held when returning to user space!"),  // from 4.11
        KernelTrouble(.lockdep, "[ BUG: lock held when returning to user space!"),  // to 4.10
        KernelTrouble(.lockdep, "WARNING: ", " still has locks held!"),  // from 4.11
        KernelTrouble(.lockdep, "WARNING: Nested lock was not taken"),  // from 4.11
        KernelTrouble(.lockdep, "[ BUG: Invalid wait context ]"),  // from 5.7
    ]

    private static let stalls = [
        KernelTrouble(.softLockup, "watchdog: BUG: soft lockup - CPU#"),  // from 4.13
        KernelTrouble(.softLockup, "NMI watchdog: BUG: soft lockup - CPU#"),  // 4.2 to 4.12
        KernelTrouble(.softLockup, "BUG: soft lockup - CPU#"),  // to 4.1
        KernelTrouble(.hardLockup, "watchdog: ", "Watchdog detected hard LOCKUP"),  // from 4.13; 6.6 adds a word
        KernelTrouble(.hardLockup, "NMI watchdog: Watchdog detected hard LOCKUP"),  // to 4.12
        KernelTrouble(.hardLockup, "Watchdog detected hard LOCKUP"),  // to 4.1
        KernelTrouble(.hungTask, "INFO: task ", " blocked ", " for more than "),  // from 6.17 with what it waits for
        KernelTrouble(.hungTask, "INFO: task ", " blocked for more than "),
        KernelTrouble(.rcuStall, "rcu: INFO: rcu_", " stall"),  // from 4.20
        KernelTrouble(.rcuStall, "INFO: rcu_", " stall"),  // to 4.19, and tasks RCU
    ]

    private static let faults = [
        KernelTrouble(.oops, "BUG: unable to handle "),
        KernelTrouble(.oops, "BUG: kernel NULL pointer dereference"),  // from 5.1
        KernelTrouble(.oops, "Oops: "),  // all of them from 6.10 on
        KernelTrouble(.oops, "general protection fault: "),
        KernelTrouble(.oops, "general protection fault, "),  // from 5.6
        KernelTrouble(.oops, "invalid opcode: "),
        KernelTrouble(.oops, "divide error: "),
        KernelTrouble(.oops, "stack segment: "),
        KernelTrouble(.oops, "double fault: "),
        KernelTrouble(.oops, "traps: PANIC: double fault"),
        KernelTrouble(.oops, "PANIC: double fault"),
        KernelTrouble(.oops, "BUG: ", "stack guard page was hit"),  // from 4.9
        KernelTrouble(.oops, "kernel BUG at "),
        KernelTrouble(.oops, "Kernel BUG at "),
    ]

    private static let bugs = [
        KernelTrouble(.bug, "BUG: sleeping function called from invalid context"),
        KernelTrouble(.bug, "BUG: scheduling while atomic: "),
        KernelTrouble(.bug, "BUG: using ", " in preemptible "),
        KernelTrouble(.bug, "BUG: workqueue lockup"),  // from 4.5
        KernelTrouble(.bug, "BUG: workqueue leaked lock or atomic"),
        KernelTrouble(.bug, "BUG: Bad "),  // page state, page map, rss-counter
        KernelTrouble(.bug, "BUG: non-zero "),
        KernelTrouble(.bug, "BUG: Dentry "),
        KernelTrouble(.bug, "BUG: spinlock "),
        KernelTrouble(.bug, "BUG: rwlock "),
        KernelTrouble(.bug, "BUG ", "ainted", "): "),  // SLUB: "BUG kmalloc-64 (Not tainted): Poison overwritten"
        KernelTrouble(.bug, "list_add corruption"),
        KernelTrouble(.bug, "list_del corruption"),
        KernelTrouble(.bug, "refcount_t: "),  // from 4.11
        KernelTrouble(.bug, "usercopy: Kernel memory ", " attempt detected"),  // from 4.16
    ]

    private static let minor = [
        KernelTrouble(.warning, "WARNING: CPU: ", " at "),  // 3.11 to 6.18
        KernelTrouble(.warning, "WARNING: at "),  // to 3.10
        KernelTrouble(.warning, "WARNING: ", " at ", ", CPU#"),  // from 6.19
        KernelTrouble(.warning, "unchecked MSR access error: "),  // from 4.7
        KernelTrouble(.oom, "Out of memory: Kill"),
        KernelTrouble(.oom, "Memory cgroup out of memory: Kill"),
    ]
}

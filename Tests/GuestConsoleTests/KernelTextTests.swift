import GuestConsole
import Testing

/// What kernels of several versions have said, line for line.
@Suite("Kernels' words")
struct KernelTextTests {
    static let texts: [(version: String, line: String, kind: KernelTrouble.Kind)] = [
        ("3.10", "[    7.915169] WARNING: at kernel/smp.c:382 smp_call_function_many+0x2d4/0x2e0()", .warning),
        (
            "6.1", "[    0.0] WARNING: CPU: 0 PID: 0 at include/linux/cpumask.h:47 prefill_possible_map+0x12b/0x175",
            .warning
        ),
        ("6.19", "[    0.0] WARNING: kernel/sched/core.c:8511 at sched_init+0x20/0x410, CPU#0: swapper/0", .warning),
        (
            "6.19",
            "[    1.2][   T30] WARNING: kernel/sched/core.c:6348 at sched_core_cpu_starting+0x510/0x540, CPU#1: swapper/1/0",
            .warning
        ),
        (
            "4.19",
            "[    9.1] unchecked MSR access error: RDMSR from 0x1b0 at rIP: 0xffffffff8106d2a4 (native_read_msr+0x4/0x30)",
            .warning
        ),
        ("3.11", "[   46.954243] BUG: unable to handle kernel NULL pointer dereference at 00000000000000d8", .oops),
        ("3.11", "[   46.954252] Oops: 0000 [#1] SMP ", .oops),
        ("4.14", "[  427.369785] BUG: unable to handle kernel NULL pointer dereference at 00000000000008d0", .oops),
        ("4.18", "[  427.369785] BUG: unable to handle kernel paging request at ffffc90000a3f000", .oops),
        ("5.17", "[    1.0] BUG: kernel NULL pointer dereference, address: 000000000000000b", .oops),
        ("5.17", "[    1.0] Oops: 0002 [#1] SMP NOPTI", .oops),
        ("6.1", "[    1.0] BUG: unable to handle page fault for address: ffffffffc0a0b0c0", .oops),
        ("6.12", "[    1.0] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI", .oops),
        (
            "6.12",
            "[    1.0] Oops: general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1] SMP KASAN",
            .oops
        ),
        ("5.4", "[    1.0] general protection fault: 0000 [#1] SMP PTI", .oops),
        (
            "5.10",
            "[    1.0] general protection fault, probably for non-canonical address 0x6b6b6b6b6b6b6b6b: 0000 [#1] SMP",
            .oops
        ),
        ("6.1", "[    1.0] kernel BUG at fs/ext4/inode.c:2750!", .oops),
        ("6.1", "[    1.0] invalid opcode: 0000 [#1] PREEMPT SMP NOPTI", .oops),
        ("6.12", "[    1.0] Oops: invalid opcode: 0000 [#1] SMP NOPTI", .oops),
        ("6.1", "[    1.0] divide error: 0000 [#1] PREEMPT SMP", .oops),
        (
            "5.10",
            "[    1.0] BUG: stack guard page was hit at 00000000d6d7d5a4 (stack is 00000000f5e2a3b1..00000000b1e0d1c2)",
            .oops
        ),
        (
            "6.1",
            "[    1.0] BUG: TASK stack guard page was hit at ffffc90000a3fff8 (stack is ffffc90000a40000..ffffc90000a44000)",
            .oops
        ),
        ("4.4", "[    1.0] [ INFO: possible circular locking dependency detected ]", .lockdep),
        ("5.15", "[    1.0] WARNING: possible circular locking dependency detected", .lockdep),
        ("6.12", "[    1.0] WARNING: possible recursive locking detected", .lockdep),
        ("6.12", "[    1.0] WARNING: possible irq lock inversion dependency detected", .lockdep),
        ("6.12", "[    1.0] WARNING: inconsistent lock state", .lockdep),
        ("4.9", "[    1.0] [ INFO: inconsistent lock state ]", .lockdep),
        ("6.6", "[    1.0] WARNING: suspicious RCU usage", .lockdep),
        ("4.9", "[    1.0] [ INFO: suspicious RCU usage. ]", .lockdep),
        ("6.6", "[    1.0] WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected", .lockdep),
        ("6.6", "[    1.0] WARNING: bad unlock balance detected!", .lockdep),
        ("6.6", "[    1.0] WARNING: lock held when returning to user space!", .lockdep),
        ("6.6", "[    1.0] WARNING: cat/123 still has locks held!", .lockdep),
        ("6.6", "[    1.0] [ BUG: Invalid wait context ]", .lockdep),
        ("4.4", "[   60.0] NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:1]", .softLockup),
        ("6.1", "[   60.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:1]", .softLockup),
        ("4.4", "[   60.0] NMI watchdog: Watchdog detected hard LOCKUP on cpu 0", .hardLockup),
        ("6.1", "[   60.0] watchdog: Watchdog detected hard LOCKUP on cpu 0", .hardLockup),
        ("6.6", "[   60.0] watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0", .hardLockup),
        ("6.1", "[  242.5] INFO: task sh:61 blocked for more than 120 seconds.", .hungTask),
        ("6.17", "[  242.5] INFO: task kworker/u8:1:35 blocked in I/O wait for more than 122 seconds.", .hungTask),
        ("4.9", "[   21.0] INFO: rcu_preempt detected stalls on CPUs/tasks:", .rcuStall),
        ("4.9", "[   21.0] INFO: rcu_sched self-detected stall on CPU", .rcuStall),
        ("6.1", "[   21.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", .rcuStall),
        ("6.1", "[   21.0] rcu: INFO: rcu_preempt self-detected stall on CPU", .rcuStall),
        (
            "6.1",
            "[   21.0] rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 26 jiffies s: 569 root: 0x2/.",
            .rcuStall
        ),
        ("6.1", "[   21.0] INFO: rcu_tasks detected stalls on tasks:", .rcuStall),
        ("5.15", "[    3.0] BUG: KASAN: slab-out-of-bounds in foo+0x1/0x2", .kasan),
        ("6.12", "[    3.0][  T123] BUG: KASAN: slab-use-after-free in foo+0x1/0x2", .kasan),
        ("5.15", "[    3.0] BUG: KFENCE: use-after-free read in test_use_after_free_read+0xb3/0x143", .kfence),
        ("5.15", "[    3.0] BUG: KCSAN: data-race in test_kernel_read / test_kernel_write", .kcsan),
        (
            "6.1", "[    3.0] BUG: KMSAN: uninit-value in test_uninit_kmsan_check_memory+0x1be/0x380 [kmsan_test]",
            .kmsan
        ),
        ("4.9", "[    3.0] UBSAN: Undefined behaviour in ./include/linux/bitops.h:110:33", .ubsan),
        ("6.6", "[    3.0] UBSAN: array-index-out-of-bounds in drivers/net/foo.c:12:3", .ubsan),
        (
            "6.1",
            "[    3.0] list_add corruption. prev->next should be next (ffff8881), but was 0000000000000000. (prev=ffff8882).",
            .bug
        ),
        ("6.1", "[    3.0] list_del corruption, ffff888104f7a000->next is LIST_POISON1 (dead000000000100)", .bug),
        ("6.1", "[    3.0] refcount_t: underflow; use-after-free.", .bug),
        ("6.1", "[    3.0] BUG: Bad page state in process cat  pfn:10e5a1", .bug),
        ("6.1", "[    3.0] BUG: sleeping function called from invalid context at mm/slab.h:274", .bug),
        ("6.1", "[    3.0] BUG: scheduling while atomic: swapper/0/0/0x00000100", .bug),
        ("6.1", "[    3.0] BUG: using smp_processor_id() in preemptible [00000000] code: cat/123", .bug),
        ("6.1", "[    3.0] BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!", .bug),
        ("6.1", "[    3.0] BUG kmalloc-64 (Not tainted): Poison overwritten", .bug),
        ("6.6", "[    3.0] BUG kmalloc-64 (Tainted: G    B  W         ): Redzone overwritten", .bug),
        ("6.1", "[    8.0] Out of memory: Killed process 71 (tail) total-vm:190480kB, anon-rss:181000kB", .oom),
        ("4.9", "[    8.0] Out of memory: Kill process 71 (tail) score 900 or sacrifice child", .oom),
        ("6.1", "[    8.0] Memory cgroup out of memory: Killed process 71 (tail) total-vm:19kB", .oom),
    ]

    private static func findings(_ lines: [String]) -> [PanicDetector.Finding] {
        var detector = PanicDetector()
        return lines.enumerated().flatMap { number, text in
            detector.receive(ConsoleLine(number: number, time: .now, raw: Array(text.utf8), text: text))
        }
    }

    @Test("A5: kernels of many versions are understood", arguments: texts.indices)
    func kinds(_ index: Int) {
        let (version, line, kind) = Self.texts[index]
        guard case .began(let report)? = Self.findings([line]).first else {
            Issue.record("\(version): nothing seen in: \(line)")
            return
        }
        #expect(report.kind == kind, "\(version): \(line)")
    }

    @Test(
        "A5: what only looks like it is nothing",
        arguments: [
            "[    1.0] WARNING: this is a test", "[    1.0] systemd[1]: WARNING: possible misuse",
            "[    1.0] loop0: detected capacity change from 0 to 8", "[    1.0] rcu: RCU calling INFO",
            "[    1.0] BUGS: none", "[    1.0] BUG report at https://bugs.debian.org", "UBSAN tests: ok",
            "[    1.0] kernel: refcount_t overflow test passed", "[    1.0] INFO: task finished for more than one",
            "[    0.1] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible!",
        ]) func ordinary(_ line: String)
    { #expect(Self.findings([line]) == []) }

    @Test("A4: an oops is seen behind a warning whose context is still coming")
    func afterWarning() {
        let kinds = Self.findings([
            "[    1.0] WARNING: CPU: 0 PID: 1 at kernel/softirq.c:164 __local_bh_enable_ip+0x5b/0x70",
            "[    1.0] Call Trace:", "[    1.1] BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "[    1.1] Oops: 0002 [#1] SMP", "[    1.2] WARNING: CPU: 0 PID: 1 at kernel/exit.c:1 do_exit+0x1/0x2",
        ]).compactMap { if case .began(let report) = $0 { report.kind } else { nil } }
        #expect(kinds == [.warning, .oops])
    }
}

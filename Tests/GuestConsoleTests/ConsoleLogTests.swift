import GuestConsole
import Testing

@Suite struct ConsoleLogTests {
    private func lines(_ pieces: [String], longest: Int = 4096, keeping: Int = 200) -> ([String], ConsoleLog) {
        var log = ConsoleLog(keeping: keeping, longestLine: longest)
        var result: [String] = []
        for piece in pieces { log.receive(Array(piece.utf8)[...]) { result.append($0.text) } }
        log.finish { result.append($0.text) }
        return (result, log)
    }

    @Test func linesHoweverCut() {
        #expect(lines(["a\nb", "c\r\n", "\r\n", "d\r", "\r\ne"]).0 == ["a", "bc", "", "d", "e"])
        #expect(lines([]).0 == [])
        #expect(lines(["10%\r50%\r100%\r\n"]).0 == ["100%"])
    }

    @Test func escapesAreForTerminals() {
        #expect(lines(["\u{1b}[1;31mred\u{1b}[0m \u{1b}]0;title\u{7}x\u{1b}(By\u{1b}7\u{8}\0!\n"]).0 == ["red xy!"])
        #expect(lines(["cut \u{1b}[", "32mhere\n"]).0 == ["cut here"])
        #expect(lines(["\u{1b}"]).0 == [""])
    }

    @Test func longLinesAreCutAndOnlyTheLastAreKept() {
        let (all, log) = lines([String(repeating: "x", count: 25), "\n1\n2\n3\n4\n"], longest: 10, keeping: 3)
        #expect(all == ["xxxxxxxxxx", "xxxxxxxxxx", "xxxxx", "1", "2", "3", "4"])
        #expect(log.tail.map(\.text) == ["2", "3", "4"])
        #expect(log.tail.map(\.number) == [5, 6, 7])
        #expect(lines([String(repeating: "x", count: 10), "\n"], longest: 10).0 == ["xxxxxxxxxx", ""])
    }

    @Test func rawBytesAreKept() {
        var log = ConsoleLog()
        var raw: [UInt8] = []
        log.receive([0xff, 0x1b, 0x5b, 0x6d, 13, 0x41, 13, 10]) { raw = $0.raw }
        #expect(raw == [0xff, 0x1b, 0x5b, 0x6d, 13, 0x41])
    }
}

@Suite struct PanicDetectorTests {
    /// Real excerpts, one per line kind, as Debian's 6.1 kernel prints them.
    static let cries: [(String, KernelTrouble.Kind, Bool)] = [
        ("[   12.345678] Kernel panic - not syncing: sysrq triggered crash", .panic, true),
        ("[    4.1][    T1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009", .panic, true),
        (
            "<0>[    4.100000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)", .panic,
            true
        ),
        ("Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled", .panic, true),
        ("[    9.0] BUG: unable to handle page fault for address: ffffdead0000", .oops, false),
        ("[    9.0] BUG: kernel NULL pointer dereference, address: 0000000000000000", .oops, false),
        (
            "[    9.0] general protection fault, probably for non-canonical address 0xdead: 0000 [#1] PREEMPT SMP",
            .oops, false
        ),
        ("[    9.0] kernel BUG at mm/slub.c:379!", .oops, false),
        ("[   60.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:1]", .softLockup, false),
        ("[  242.5] INFO: task sh:61 blocked for more than 120 seconds.", .hungTask, false),
        ("[   21.0] rcu: INFO: rcu_preempt self-detected stall on CPU", .rcuStall, false),
        ("[    8.0] Out of memory: Killed process 71 (tail) total-vm:190480kB, anon-rss:181000kB", .oom, false),
        ("[    8.0] Memory cgroup out of memory: Killed process 71 (tail) total-vm:19kB", .oom, false),
        ("[    3.0] WARNING: CPU: 0 PID: 1 at kernel/softirq.c:164 __local_bh_enable_ip+0x5b/0x70", .warning, false),
        ("[    3.0] BUG: KASAN: slab-out-of-bounds in foo+0x1/0x2", .kasan, false),
        (
            "<INSTANCE CLASSNAME=\"BLUESCREEN\"><PROPERTY NAME=\"STOPCODE\" TYPE=\"string\"><VALUE>\"0xE2\"</VALUE>",
            .bugcheck, true
        ),
        ("!SAC>", .bugcheck, true),
    ]

    private func line(_ text: String, _ number: Int = 1) -> ConsoleLine {
        ConsoleLine(number: number, time: .now, raw: Array(text.utf8), text: text)
    }

    @Test(arguments: cries) func theKernelsWords(_ text: String, _ kind: KernelTrouble.Kind, _ fatal: Bool) throws {
        var detector = PanicDetector()
        guard case .began(let report) = try #require(detector.receive(line(text)).first) else {
            Issue.record("not begun")
            return
        }
        #expect(report.kind == kind)
        #expect(report.isFatal == fatal)
        #expect(text.hasSuffix(report.message))
    }

    @Test(arguments: [
        "panic", "don't panic", "panic: test", "go: panic: runtime error", "test kernel_panic ... ok",
        "echo 'Kernel panic - not syncing: no'", "looking for Kernel panic - not syncing: here", "[note] Kernel panic",
        "[    1.0] tracer: will not stop on Kernel panic - not syncing: ", "BUG", "BUG: 123 fixed", "Oops",
        "Oops, sorry",
        "[    8.1] traps: a.out[71] general protection fault ip:401106 sp:7ffd error:0",
        "[    8.1] a.out[71]: segfault at 0",
        "WARNING: this is a test", "INFO: task finished",
        "[    0.0] Kernel command line: console=ttyS0 panic=-1 oops=panic",
    ]) func ordinaryText(_ text: String) {
        var detector = PanicDetector()
        #expect(detector.receive(line(text)) == [])
    }

    @Test func contextBeforeAndAfter() throws {
        var detector = PanicDetector(before: 2, after: 3)
        var findings: [PanicDetector.Finding] = []
        for (number, text) in [
            "one", "two", "three", "[    9.0] BUG: unable to handle page fault for address: 1", "Oops: 0002 [#1]",
            "RIP", "x",
            "[    9.1] Kernel panic - not syncing: Fatal exception", "Kernel Offset: disabled",
            "[    9.1] ---[ end Kernel panic - not syncing: Fatal exception ]---", "late",
        ].enumerated() {
            findings += detector.receive(line(text, number))
        }
        let parts = findings.map { finding -> (Bool, KernelTrouble.Kind, [String]) in
            switch finding {
            case .began(let report): (false, report.kind, report.lines.map(\.text))
            case .completed(let report): (true, report.kind, report.lines.map(\.text))
            }
        }
        #expect(parts.map(\.0) == [false, true, false, true])
        #expect(parts.map(\.1) == [.oops, .oops, .panic, .panic])
        #expect(parts[0].2 == ["two", "three", "[    9.0] BUG: unable to handle page fault for address: 1"])
        #expect(parts[1].2.count == 6)
        #expect(parts[3].2.first == "RIP")
        #expect(parts[3].2.last == "[    9.1] ---[ end Kernel panic - not syncing: Fatal exception ]---")
        #expect(detector.finish() == [])
    }

    /// From a Debian guest: `tail /dev/zero; echo c > /proc/sysrq-trigger`, shortened.
    private static let console = #"""
        [  836.965378] [     97]     0    97      565      434    28672        0             0 sh
        [  836.965487] [   1303]     0  1303    48346    48160   425984        0             0 tail
        [  836.965613] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=tail,pid=1303,uid=0
        [  836.968446] Out of memory: Killed process 1303 (tail) total-vm:193384kB, anon-rss:191292kB, file-rss:4kB, shmem-rss:1344kB, UID:0 pgtables:416kB oom_score_adj:0
        [  837.087329] sysrq: Trigger a crash
        [  837.087645] Kernel panic - not syncing: sysrq triggered crash
        [  837.087778] CPU: 0 PID: 97 Comm: sh Not tainted 6.1.0-56-cloud-amd64 #1  Debian 6.1.192-2
        [  837.087904] Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
        [  837.088034] Call Trace:
        [  837.088095]  <TASK>
        [  837.088149]  dump_stack_lvl+0x44/0x5c
        [  837.088239]  panic+0x118/0x2f4
        [  837.088322]  ? _printk+0x68/0x83
        [  837.088381]  sysrq_handle_crash+0x16/0x20
        [  837.088459]  __handle_sysrq.cold+0x44/0x11c
        [  837.088535]  write_sysrq_trigger+0x24/0x40
        [  837.089825] RIP: 0033:0x47b7a0
        [  837.091287] Kernel Offset: disabled
        [  837.091531] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---
        """#

    @Test func aGuestsEnd() {
        var log = ConsoleLog()
        var detector = PanicDetector()
        var findings: [PanicDetector.Finding] = []
        let bytes = Array(Self.console.replacing("\n", with: "\r\n").utf8)
        for start in stride(from: 0, to: bytes.count, by: 7) {
            log.receive(bytes[start..<min(start + 7, bytes.count)]) { findings += detector.receive($0) }
        }
        log.finish { findings += detector.receive($0) }
        findings += detector.finish()
        let kinds = findings.compactMap { if case .completed(let report) = $0 { report.kind } else { nil } }
        #expect(kinds == [.oom, .panic])
        guard case .completed(let report) = findings.last else {
            Issue.record("no report")
            return
        }
        #expect(report.isFatal)
        #expect(report.message == "Kernel panic - not syncing: sysrq triggered crash")
        #expect(report.lines.last?.text.contains("---[ end Kernel panic") == true)
    }
}

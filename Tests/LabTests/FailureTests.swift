import Glibc
import HostSystem
import LabResults
import Testing

extension GuestTests {
    /// What goes wrong in a guest is its task's outcome, at once, and nobody else's business.
    @Suite struct FailureTests {
        @Test func aKilledMachineIsItsTasksError() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: killed
                    guests:
                      victim: {image: busybox, memory: 128MiB}
                      other: {image: busybox, memory: 128MiB}
                    tasks:
                      - {name: long, on: victim, run: echo begun; sleep 1; echo '<1>begun' > /dev/kmsg; sleep 1000}
                      - {name: after, on: victim, run: 'true', needs: long}
                      - {name: first, on: other, run: echo one}
                      - {name: second, on: other, run: sleep 3}
                      - {name: third, on: other, run: echo three}
                    """)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                // What was printed a second before has arrived too.
                _ = try await run.wait(for: "the task's first words") {
                    (try? vmlab.console("victim"))?.contains("begun") == true ? true : nil
                }
                kill(try await run.machine("victim").id, SIGKILL)
                let killed = ContinuousClock.now
                _ = try await run.event("taskFinished") { $0.task == "long" }
                #expect(.now - killed < .seconds(10))

                let ended = try await run.ended()
                #expect(ended.status == 3, "\(ended.everything)")
                let report = try vmlab.report()
                let long = try report.task("long", on: "victim")
                #expect(long.outcome == .error)
                #expect(long.message?.contains("SIGKILL") == true, "\(long.message ?? "")")
                #expect(try vmlab.output("long", on: "victim") == Array("begun\n".utf8))
                #expect(try report.task("after").outcome != .passed)
                for task in ["first", "second", "third"] {
                    #expect(try report.task(task, on: "other").outcome == .passed, "\(report.outcomes)")
                }
            }
        }

        @Test func aGuestThatIsLostIsItsOwnTasksLoss() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: ends
                    guests:
                      panics: {image: busybox, memory: 128MiB}
                      leaves: {image: busybox, memory: 128MiB}
                      stubborn: {image: busybox, memory: 128MiB}
                    timeouts: {task: 2m}
                    tasks:
                      - {name: crash, on: panics, run: echo before; sleep 1; echo c > /proc/sysrq-trigger; sleep 1000}
                      - {name: power-off, on: leaves, run: poweroff -f}
                      - {name: deaf, on: stubborn, run: trap '' INT TERM; while :; do :; done, timeout: 2s}
                      - {name: next, on: stubborn, run: 'true'}
                    """)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(ended.status == 3, "\(ended.everything)")
                let report = try vmlab.report()
                let crash = try report.task("crash")
                #expect(crash.outcome == .panicked, "\(report.outcomes)")
                #expect(crash.duration < 60)
                #expect(crash.consoleTail.contains { $0.contains("sysrq triggered crash") }, "\(crash.consoleTail)")
                #expect(ended.out.contains("sysrq triggered crash"), "\(ended.out)")
                #expect(try vmlab.console("panics").contains("Kernel panic - not syncing: sysrq triggered crash"))
                #expect(try vmlab.output("crash", on: "panics") == Array("before\n".utf8))
                let off = try report.task("power-off")
                #expect(off.outcome == .error)
                #expect(off.message?.contains("powered itself off") == true, "\(off.message ?? "")")
                #expect(off.duration < 60)
                // A11: a task that ignores all signals is killed, and its guest goes on.
                let deaf = try report.task("deaf")
                #expect(deaf.outcome == .timeout && deaf.duration < 60, "\(deaf)")
                let next = try report.task("next")
                #expect(next.outcome == .passed, "\(next)")
            }
        }

        @Test func aTaskWithoutEndTimesOutAndTheGuestGoesOn() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: hangs
                    guests:
                      box: {image: busybox, memory: 128MiB}
                    timeouts: {task: 2m, silence: 8s}
                    tasks:
                      - {name: hangs, run: echo begun; echo kept > /kept; sleep 1234, timeout: 2s, get: [/kept]}
                      - {name: talks, run: for i in 1 2 3 4; do echo $i; sleep 3; done}
                      - {name: silent, run: sleep 1234}
                      - {name: alive, run: '! ps | grep -v grep | grep -q "sleep 1234"'}
                    """)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                let report = try vmlab.report()
                #expect(ended.status == 4, "\(report.outcomes)\n\(ended.everything)")
                let hangs = try report.task("hangs")
                #expect(hangs.outcome == .timeout)
                #expect(hangs.artifacts.count == 1, "files are collected after a timeout too: \(hangs)")
                #expect(try vmlab.output("hangs", on: "box") == Array("begun\n".utf8))
                #expect(try report.task("talks").outcome == .passed, "it was never silent for long")
                let silent = try report.task("silent")
                #expect(silent.outcome == .timeout && silent.message?.contains("printed nothing") == true)
                #expect(try report.task("alive").outcome == .passed, "\(report.outcomes)")
            }
        }

        @Test func aWindowsLikeTaskWithoutEndTimesOutAndTheGuestGoesOn() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("wait.vbs", "WScript.Echo \"waiting\"\r\nDo\r\nLoop\r\n")
                try vmlab.write(
                    "lab.yaml",
                    #"""
                    lab: hangs
                    guests:
                      win: {image: wine, memory: 256MiB}
                    timeouts: {task: 2m}
                    tasks:
                      - name: batch
                        timeout: 3s
                        run: |
                          echo begun
                          :loop
                          goto loop
                      # Before a program that is killed, after which Wine once could not open a window at all.
                      - {name: window, run: notepad, timeout: 3s}
                      - {name: program, put: {./wait.vbs: 'C:\lab\wait.vbs'}, run: cscript //nologo C:\lab\wait.vbs, timeout: 20s}
                      - {name: alive, run: echo alive}
                    """#)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                let report = try vmlab.report()
                #expect(ended.status == 4, "\(report.outcomes)\n\(ended.everything)")
                for task in ["batch", "program", "window"] {
                    #expect(try report.task(task).outcome == .timeout, "\(report.outcomes)")
                }
                #expect(try vmlab.text("out/tasks/batch/win/output") == "begun\r\n")
                #expect(try vmlab.text("out/tasks/program/win/output") == "waiting\r\n")
                #expect(try vmlab.text("out/tasks/alive/win/output") == "alive\r\n")
            }
        }

        @Test func aRetryBootsAKilledMachineAnew() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: again
                    guests:
                      box: {image: busybox, memory: 128MiB}
                    tasks:
                      - {name: first, run: touch /tmp/mark}
                      - {name: unlucky, run: sleep 5; test ! -e /tmp/mark, retries: 1}
                      - {name: after, run: echo after}
                    """)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                try await run.taskStarted("unlucky")
                kill(try await run.machine("box").id, SIGKILL)
                let ended = try await run.ended()
                #expect(ended.status == 0, "\(ended.everything)")
                let report = try vmlab.report()
                let unlucky = try report.task("unlucky")
                #expect(unlucky.outcome == .flaky && unlucky.attempts == 2, "\(unlucky)")
                #expect(try report.task("after").outcome == .passed)
                #expect(ended.out.contains("trying again"), "\(ended.out)")
            }
        }

        @Test func theLabsTimeIsUp() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: late
                    guests:
                      box: {image: busybox, memory: 128MiB}
                    timeouts: {lab: 25s, task: 10m}
                    tasks:
                      - {name: long, run: sleep 1000}
                      - {name: never, run: 'true'}
                    """)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(ended.status == 4, "\(ended.everything)")
                #expect(ended.duration < .seconds(60))
                let report = try vmlab.report()
                #expect(try report.task("long").outcome == .timeout, "\(report.outcomes)")
                #expect(try report.task("never").outcome == .skipped, "\(report.outcomes)")
            }
        }

        @Test func twoRunsAtOnceDoNotCollide() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("note.txt", "a note\n")
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: twin
                    guests:
                      box: {image: busybox, memory: 128MiB}
                    tasks:
                      - name: work
                        put: {./note.txt: /root/note.txt}
                        run: cat /root/note.txt; cat /proc/sys/kernel/random/boot_id > /root/id
                        get: [/root/id]
                    """)
                // In the same second, from the same folder: results lie beside each other.
                let one = try await vmlab.start(["run", "lab.yaml"])
                let two = try await vmlab.start(["run", "lab.yaml"])
                for run in [one, two] {
                    let ended = try await run.ended()
                    #expect(ended.status == 0, "\(ended.everything)")
                }
                let folders = try FileTree.names(in: "\(vmlab.path)/results").filter { $0 != "latest" }
                #expect(folders.count == 2)
                let ids = try folders.map { try vmlab.text("results/\($0)/tasks/work/box/artifacts/id") }
                #expect(Set(ids).count == 2)
                for folder in folders {
                    #expect(try vmlab.text("results/\(folder)/tasks/work/box/output") == "a note\n")
                }
            }
        }

        @Test func aFullDiskIsSaidAndDoesNoDamage() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: full
                    guests:
                      box: {image: busybox, memory: 128MiB}
                    tasks:
                      - {name: small, run: echo small}
                      - {name: large, run: dd if=/dev/zero bs=1k count=2000 2>/dev/null}
                      - {name: then, run: echo then}
                    """)
                // A mount of its own for the results, and a copy of what fitted, made while it is there.
                try vmlab.write(
                    "on-small-disk.sh",
                    """
                    mkdir -p small kept && mount -t tmpfs -o size=512k tmpfs small || exit 99
                    "$@"; status=$?
                    cp -r small/. kept
                    exit $status
                    """)
                let unshare = ["unshare"] + (geteuid() == 0 ? ["-m"] : ["-rm"])
                let run = try await vmlab.start(
                    ["run", "lab.yaml", "--out", "small/out"], wrapper: unshare + ["sh", "on-small-disk.sh"])
                let ended = try await run.ended()
                try #require(ended.status != 99, "no mount can be made here: \(ended.err)")
                #expect(ended.status == 3, "\(ended.everything)")
                #expect((ended.out + ended.err).contains("No space left on device"), "\(ended.everything)")
                #expect((ended.out + ended.err).contains("--out"), "the remedy: \(ended.everything)")
                #expect(try vmlab.text("kept/out/tasks/small/box/output") == "small\n")
            }
        }
    }
}

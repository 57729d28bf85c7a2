import Glibc
import HostSystem
import LabResults
import LabTestSupport
import Testing

extension GuestTests {
    /// Scripts on real guests: how they fail, how they end, and that nothing is left of them. `VMLab.with` looks.
    @Suite struct ScriptTests {
        @Test func aFailureSaysWhereAndWhat() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "smoke.lua",
                    """
                    local vmlab = require "vmlab"
                    local web = vmlab.boot { image = "busybox", name = "web", memory = "128MiB" }
                    vmlab.subtest("kernel", function() vmlab.matches(web:succeed("uname -s"), "Linux") end)
                    web:succeed("echo the reason; exit 4")
                    """)
                let run = try await vmlab("run", "smoke.lua", "--out", "out")
                #expect(run.status == 1, "\(run.everything)")
                #expect(
                    run.out.contains("smoke.lua:4: web: `echo the reason; exit 4` ended with exit status 4, expected 0")
                )
                #expect(run.out.contains("the reason"))
                let report = try vmlab.report()
                #expect(try report.task("kernel").outcome == .passed)
                #expect(try report.task("smoke").steps.last?.id.place == "smoke.lua:4")
                #expect(try vmlab.text("out/junit.xml").contains("web: succeed echo the reason; exit 4"))
            }
        }

        @Test(arguments: [
            ("while true do end", "130"), ("local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20) end", "1"),
            ("vmlab.parallel(function() web:succeed('sleep 1000') end, function() error('in the middle') end)", "1"),
            ("web:succeed('echo c > /proc/sysrq-trigger; sleep 60')", "3"),
            ("web:run('sleep 1000', { timeout = '1s' })", "4"),
        ])
        func howeverItEndsNoGuestIsLeft(_ line: String, _ status: String) async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "ends.lua",
                    """
                    local vmlab = require "vmlab"
                    local web = vmlab.boot { image = "busybox", name = "web", memory = "128MiB" }
                    print("booted")
                    \(line)
                    """)
                let run = try await vmlab.start(["run", "ends.lua", "--out", "out"])
                if status == "130" {
                    _ = try await eventually { vmlab.events().contains { $0.event == "guestReady" } }
                    run.send(SIGINT)
                }
                let ended = try await run.ended(within: .seconds(120))
                #expect("\(ended.status)" == status, "\(ended.everything)")
                #expect(vmlab.machines.isEmpty)
                #expect(try vmlab.report().exitStatus == ended.status)
            }
        }

        @Test func aScriptRunsALabAndReadsItsResults() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "inner.yaml",
                    """
                    lab: inner
                    guests: {box: {image: busybox, memory: 128MiB}}
                    env: {WORD: nothing}
                    tasks:
                      - {name: good, run: echo $WORD}
                      - {name: bad, run: exit 7}
                    """)
                try vmlab.write(
                    "outer.lua",
                    """
                    local vmlab = require "vmlab"
                    local r = vmlab.lab("inner.yaml"):run{ set = { ["env.WORD"] = "something" } }
                    vmlab.equals(r.status, "failed")
                    vmlab.equals({ r.tasks[1].outcome, r.tasks[1].output }, { "passed", "something\\n" })
                    vmlab.equals({ r.tasks[2].outcome, r.tasks[2].exit }, { "failed", 7 })
                    vmlab.equals(vmlab.args, { "quick" })
                    """)
                let run = try await vmlab("run", "outer.lua", "--arg", "quick", "--out", "out")
                #expect(run.status == 0, "\(run.everything)")
            }
        }

        @Test func mistakesAreFoundBeforeAnythingBoots() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("wrong.lua", "local x =\nif\n")
                let run = try await vmlab("run", "wrong.lua", "--out", "out")
                #expect(run.status == 2)
                #expect(run.err.contains("wrong.lua:2:1: error: unexpected symbol near 'if'"))
                let plan = try await vmlab("plan", "wrong.lua")
                #expect(plan.status == 2 && plan.err.contains("is a script"))
            }
        }

        @Test("N8: Ctrl-C clears the line that is typed, or ends what runs; the session and its guests stay")
        func interruptedSession() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    "lab: talk\nguests: {web: {image: busybox, memory: 128MiB}}\ntasks: [{name: t, run: 'true'}]\n")
                var (main, other): (Int32, Int32) = (-1, -1)
                try systemCall("openpty") { openpty(&main, &other, nil, nil, nil) }
                let keys = OwnedDescriptor(owning: main)
                let terminal = OwnedDescriptor(owning: other)
                try keys.setNonBlocking()
                var shown = ""
                func look() {
                    var bytes = [UInt8](repeating: 0, count: 1 << 16)
                    // A terminal's "\r\n" is one character to Swift.
                    let count = max(0, read(keys.number, &bytes, bytes.count))
                    shown += String(decoding: bytes[..<count].filter { $0 != 13 }, as: UTF8.self)
                }
                // Its own terminal, whose Ctrl-C is its own.
                let run = try await vmlab.start(
                    ["repl", "lab.yaml", "--out", "out"], wrapper: ["setsid", "--ctty", "--wait"],
                    standardInput: .descriptor(terminal.number), standardOutput: .descriptor(terminal.number),
                    standardError: .descriptor(terminal.number))
                func type(_ text: String) { _ = write(keys.number, text, text.utf8.count) }
                func said(_ text: String, times: Int = 1) async throws {
                    _ = try await run.wait(for: text) {
                        look()
                        return shown.ranges(of: text).count >= times ? true : nil
                    }
                }
                try await said("> ")
                type("function unfinished(\n")
                try await said(">> ")
                type("nonsense(\u{3}")
                try await said("\n> ", times: 2)
                type("40 + 2\n")
                try await said("42")
                type("web:run('echo begun; sleep 1000')\n")
                _ = try await run.event("stepStarted")
                type("\u{3}")
                try await said("interrupted")
                type("web:succeed('echo $((1000 + 234))')\n")
                try await said("\"1234\"")
                // Typed ahead, when there is no prompt.
                type("web:succeed('sleep 0.3')\n")
                _ = try await run.wait(for: "the third step") {
                    vmlab.events("out").count { $0.event == "stepStarted" } == 3 ? true : nil
                }
                type("\u{4}")
                let ended = try await run.ended(within: .seconds(60))
                #expect(ended.status == 0, "\(ended.everything)\n\(shown)")
                var left = termios()
                try systemCall("tcgetattr") { tcgetattr(terminal.number, &left) }
                #expect(left.c_lflag & tcflag_t(ICANON | ECHO) == tcflag_t(ICANON | ECHO), "not as it was found")
            }
        }

        @Test func aSessionAnswersAndLeavesNothing() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    "lab: talk\nguests: {web: {image: busybox, memory: 128MiB}}\ntasks: [{name: t, run: 'true'}]\n")
                try vmlab.write(
                    "input",
                    "web:succeed('uname -s')\nfunction twice(n)\n  return 2 * n\nend\ntwice(21)\nweb:nonsense()\n")
                let shell = try #require(Tool.find("sh"))
                let run = try await vmlab.start(
                    ["repl", "lab.yaml", "--out", "out"], wrapper: [shell, "-c", "exec \"$@\" < input", "sh"])
                let ended = try await run.ended(within: .seconds(120))
                #expect(ended.status == 0, "\(ended.everything)")
                #expect(ended.out.contains("\"Linux\"\n") && ended.out.contains("\n42\n"))
                #expect(ended.err.contains("a guest has no `nonsense`"))
            }
        }
    }
}

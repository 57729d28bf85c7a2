import Foundation
import HostSystem
import LabResults
import LabTestSupport
import Testing

@testable import LabScripting

@Suite("Scripts") struct ScriptTests {
    @Test("a guest runs commands: output, status, and the steps that are told of it")
    func commands() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "web", memory = "128MiB" }
            vmlab.equals(g:succeed("echo one; echo two"), "one\\ntwo")
            local r = g:run("echo $A; exit 3", { env = { A = "value" } })
            vmlab.equals(r.exit, 3)
            vmlab.equals(r.output, "value\\n")
            local out, exit = g:fail("exit 7")
            vmlab.equals(exit, 7)
            vmlab.equals({ g.name, g.os, g.image }, { "web", "linux", "debian" })
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
        #expect(run.steps.filter { $0.id.guest == "web" }.map(\.id.call) == ["succeed", "run", "fail"])
        #expect(run.steps.filter { $0.id.guest == "web" }.map(\.exit) == [0, 3, 7])
        #expect(run.steps.first { $0.id.call == "run" }?.id.place?.hasSuffix("test.lua:4") == true)
        #expect(run.report.tasks.first?.steps.count == run.steps.count)
        #expect(run.report.guests.map(\.guest.name) == ["web"])
    }

    @Test("a command has an input, a folder, a user, and its standard error apart")
    func streams() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "web" }
            local r = g:run("cat; pwd; echo e >&2", { stdin = "in\\0\\n", cwd = "/usr", stderr = "separate" })
            vmlab.equals(r.stderr, "e\\n")
            vmlab.contains(r.output, "in\\0\\n/usr\\n")
            vmlab.equals(g:run("true").stderr, nil)
            vmlab.equals(g:succeed("cat", { stdin = { file = "input" } }), "of the host")
            vmlab.raises(function() g:run("true", { cwd = "/no/such" }) end, "has no folder /no/such")
            vmlab.raises(function() g:run("true", { user = "no-such" }) end, "has no user `no-such`")
            vmlab.raises(function() g:run("cat", { stdin = { file = "/etc/passwd" } }) end, "outside of what may be read")
            vmlab.raises(function() g:run("cat", { stdin = { fiel = "x" } }) end, "must be a string, or {file")
            vmlab.raises(function() g:interact("cat", { stdin = "x" }) end, "its input is typed")
            """, files: ["input": "of the host\n"])
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
    }

    @Test("an image that a script declares has the words and the checks of a lab file's")
    func image() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            vmlab.equals(vmlab.image{ name = "debian", from = "debian", packages = { "gcc" }, setup = "true" }, "debian")
            vmlab.boot{ image = "debian" }:succeed("true")
            vmlab.raises(function() vmlab.image{ from = "debian" } end, "'name' must be a string")
            vmlab.image{ name = "debian", from = "debian", packages = { "GCC!" } }
            vmlab.raises(function() vmlab.boot{ image = "debian" } end, "is not the name of a Debian package")
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
    }

    @Test("a failed command says where, which guest, what command, and its output")
    func failure() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "web" }
            g:succeed("echo the reason; exit 4")
            """)
        #expect(run.status == .failed)
        let main = try #require(run.main)
        #expect(main.outcome == .failed)
        #expect(
            main.message?.hasSuffix("test.lua:3: web: `echo the reason; exit 4` ended with exit status 4, expected 0")
                == true)
        #expect(run.steps.last?.outputTail == "the reason\n")
        #expect(main.outputTail.contains("the reason"))
    }

    @Test(
        "mistakes are said with what was meant",
        arguments: [
            ("vmlab.boot{ image = 'debain' }", "did you mean `debian`?"),
            ("vmlab.boot{ image = 'debian', memroy = '1GiB' }", "did you mean `memory`?"),
            ("vmlab.boot{ image = 'debian', memory = '1GB' }", "did you mean `1GiB`?"),
            ("vmlab.boot{ image = 'debian' }:succeed('true', { timout = '1s' })", "did you mean `timeout`?"),
            ("vmlab.boot{ image = 'debian' }:succeed('true', { timeout = '1 hour' })", "must be a duration"),
            ("vmlab.boot{ image = 'debian' }:suceed('true')", "succeed"),
            ("vmlab.boot{ image = 'debian' }:succeed()", "bad argument #1 to 'succeed'"),
            ("vmlab.matches('x', '(')", "is not a regular expression"),
            ("vmlab.fleet{ gusts = {} }", "did you mean `guests`?"),
            ("vmlab.sleep('soon')", "must be a duration"),
        ])
    func mistakes(_ line: String, _ words: String) async throws {
        let run = try await TestScript.run("local vmlab = require 'vmlab'\n\(line)")
        #expect(run.status == .failed)
        let message = try #require(run.main?.message)
        #expect(message.contains(words), "\(message)")
        #expect(message.contains("test.lua:2:"), "\(message)")
    }

    @Test("guests without a name get names of their own: one after the other, by count, and side by side")
    func unnamed() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local function boot(count)
              local guests = vmlab.boot{ image = "debian", memory = "32MiB", count = count }
              if not count then return guests.name end
              local names = {}
              for i, guest in ipairs(guests) do names[i] = guest.name end
              return names
            end
            vmlab.equals({ boot(), boot() }, { "debian-1", "debian-2" })
            vmlab.equals({ boot(2), boot(1), boot(2) },
              { { "debians-1-1", "debians-1-2" }, { "debians-2-1" }, { "debians-3-1", "debians-3-2" } })
            vmlab.boot{ image = "debian", name = "debian-4" }
            local names = vmlab.each({ 1, 2, 3, 4, 5, 6 }, function() return boot() end)
            table.sort(names)
            vmlab.equals(names, { "debian-3", "debian-5", "debian-6", "debian-7", "debian-8", "debian-9" })
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
        #expect(run.report.guests.count == 14)
    }

    @Test("an error in the middle of parallel ends the others, and everything is gone")
    func parallel() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local gs = vmlab.boot{ image = "debian", name = "g", count = 3 }
            vmlab.parallel(
              function() gs[1]:succeed("sleep 1000") end,
              function() gs[2]:succeed("sleep 1000") end,
              function() gs[3]:succeed("true") error("in the middle") end)
            """)
        #expect(run.status == .failed)
        #expect(run.main?.message?.hasSuffix("test.lua:6: in the middle") == true, "\(run.main?.message ?? "")")
        #expect(run.steps.filter { $0.outcome == .skipped }.count == 2)
    }

    @Test("functions side by side: their results in order, at most so many at a time")
    func each() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local running, most = 0, 0
            local squares = vmlab.each({1, 2, 3, 4, 5}, function(n)
              running = running + 1
              most = math.max(most, running)
              vmlab.sleep(0.01)
              running = running - 1
              return n * n
            end, { limit = 2 })
            vmlab.equals(squares, {1, 4, 9, 16, 25})
            vmlab.equals(most, 2)
            vmlab.equals({ vmlab.parallel(function() return "a" end, function() return "b" end) }, {"a", "b"})
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
    }

    @Test("N17: a subtest that failed fails the script, and what it is a part of, also when they go on")
    func subtests() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            vmlab.subtest("good", function() vmlab.equals(1, 1) end)
            local passed = vmlab.subtest("bad", function() vmlab.equals(1, 2, "one") end, { keep_going = true })
            vmlab.equals(passed, false)
            vmlab.equals(vmlab.subtest("outer", function()
              vmlab.subtest("inner", function() error("no") end, { keep_going = true })
            end, { keep_going = true }), false)
            vmlab.matrix({ n = { 1, 2 } }, function(cell) vmlab.equals(cell.n, 1) end)
            """)
        #expect(run.status == .failed)
        #expect(run.results.map(\.id.task) == ["good", "bad", "outer / inner", "outer", "n=1", "n=2", "test"])
        #expect(run.results.map(\.outcome) == [.passed, .failed, .failed, .failed, .passed, .failed, .failed])
        #expect(run.results[3].message == "1 of 1 subtest failed: outer / inner")
        #expect(run.main?.message == "3 of 5 subtests failed: bad, outer, n=2")
        #expect(run.results[1].message?.hasSuffix("one: 1 is not 2") == true)
        let xml = JUnitReport.xml(run.report)
        #expect(xml.contains(#"name="bad""#) && xml.contains("equals one"))
    }

    @Test("N24: a failed command's error has the guest, the command, the exit status, the output and the outcome")
    func errorFields() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "web" }
            local function shown(e)
              return { e.call, e.guest, e.command, e.exit or "none", e.output or "none", e.outcome }
            end
            local ok, e = pcall(function() g:succeed("echo why; exit 4") end)
            vmlab.equals(shown(e), { "succeed", "web", "echo why; exit 4", 4, "why\\n", "failed" })
            vmlab.equals(e:match("exit status (%d)"), "4")
            ok, e = pcall(g.fail, g, "true")
            vmlab.equals(shown(e), { "fail", "web", "true", 0, "", "failed" })
            ok, e = pcall(g.run, g, "echo begun; sleep 100", { timeout = "5s" })
            vmlab.equals(shown(e), { "run", "web", "echo begun; sleep 100", "none", "begun\\n", "timeout" })
            ok, e = pcall(vmlab.parallel, function() g:succeed("exit 7") end)
            vmlab.equals({ e.exit, e.guest }, { 7, "web" })
            ok, e = pcall(vmlab.equals, 1, 2)
            vmlab.equals({ e.call, e.outcome, e.message, e.exit == nil }, { "equals", "failed", "1 is not 2", true })
            ok, e = pcall(g.read, g, "/nowhere")
            vmlab.equals({ e.call, e.guest, e.message:find("no such file") ~= nil }, { "read", "web", true })
            ok, e = pcall(g.succeed, g)
            vmlab.equals(type(e), "string")
            ok, e = pcall(g.succeed, g, "exit 5")
            e.message = "while it was installed: " .. e.message
            error(e)
            """)
        #expect(
            run.main?.message?.hasSuffix("while it was installed: web: `exit 5` ended with exit status 5, expected 0")
                == true,
            "\(run.main?.message ?? "")")
    }

    @Test("N25: `wait_until` that fails shows how its last attempt ended, and what that printed")
    func patience() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "web" }
            local ok, e = pcall(g.wait_until, g, "echo not yet; exit 3", { timeout = "5s", interval = "1s" })
            vmlab.equals({ e.exit, e.output, e.outcome }, { 3, "not yet\\n", "timeout" })
            vmlab.matches(e.message, "ended with exit status 3\\n    [|] not yet$")
            g:wait_until("echo begun; sleep 100", { timeout = "10s" })
            """)
        #expect(run.status == .deadline)
        let waits = run.steps.filter { $0.id.call == "wait_until" }
        #expect(waits.map(\.outputTail) == ["not yet\n", "begun\n"])
        #expect(waits.map(\.exit) == [3, nil])
        #expect(
            run.main?.message?.hasSuffix("did not succeed within 10s: its only attempt did not end") == true,
            "\(run.main?.message ?? "")")
    }

    @Test("S17: what a script raises is kept within reason")
    func longErrors() async throws {
        let run = try await TestScript.run("error(('x'):rep(1e7) .. 'end')")
        #expect(run.main?.message?.utf8.count ?? 0 < 5000 && run.main?.message?.hasSuffix("x…") == true)
    }

    @Test("N25: a matrix keeps numbers, booleans and strings as they were given")
    func matrixValues() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local seen = {}
            local cells = vmlab.matrix({ n = { 1, 2.5 }, on = { true }, s = { "7" }, include = { { n = 1, extra = 9 } } },
              function(cell) seen[#seen + 1] = cell end)
            vmlab.equals(cells, {
              { n = 1, on = true, s = "7", extra = 9 }, { n = 2.5, on = true, s = "7" } })
            vmlab.equals(seen, cells)
            for i = 1, cells[1].n do vmlab.equals(math.type(cells[i].n), "integer") end
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
        #expect(run.results.map(\.id.task).prefix(2) == ["n=1,on=true,s=7,extra=9", "n=2.5,on=true,s=7"])
    }

    @Test("what is deferred is called at the end, the last first, also after an error")
    func deferred() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "g" }
            vmlab.defer(function() vmlab.log("first") g:succeed("true") end)
            vmlab.defer(function() vmlab.log("last") end)
            error("early")
            """)
        #expect(run.notes.prefix(2) == ["last", "first"])
        #expect(run.steps.last?.outcome == .passed)
        #expect(run.main?.message?.hasSuffix("early") == true)
    }

    @Test("retry calls until it works")
    func retry() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local n = vmlab.retry(function(attempt) assert(attempt == 3, "not yet") return attempt end, { delay = "1ms" })
            vmlab.equals(n, 3)
            vmlab.retry(function() error("never") end, { times = 2, delay = "1ms" })
            """)
        #expect(run.main?.message?.hasSuffix("never") == true)
        #expect(run.notes.filter { $0.hasSuffix("trying again") }.count == 3)
    }

    @Test("a guest that dies: what runs on it says so, and the script can go on")
    func death() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local gs = vmlab.boot{ image = "debian", name = "g", count = 2 }
            gs[1]:kill()
            vmlab.raises(function() gs[1]:succeed("true") end, "ended")
            vmlab.equals(gs[2]:succeed("echo here"), "here")
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
    }

    @Test("an interrupted run calls what was deferred, and is skipped")
    func interrupted() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "g" }
            vmlab.defer(function() vmlab.log("goodbye") end)
            g:succeed("echo started; sleep 1000")
            """, cancelWhen: { if case .stepStarted(let id) = $0 { id.call == "succeed" } else { false } })
        #expect(run.status == .interrupted)
        #expect(run.main?.outcome == .skipped)
        #expect(run.notes.contains("goodbye"))
    }

    @Test("a script that never ends is ended")
    func endless() async throws {
        let run = try await TestScript.run(
            "print('begun') while true do pcall(function() while true do end end) end",
            cancelWhen: { if case .note = $0 { true } else { false } })
        #expect(run.status == .interrupted)
    }

    @Test("a script that is interrupted within a function that does not return is skipped, and it is told why")
    func stuck() async throws {
        try await withTemporaryFolder { folder in
            let pipe = "\(folder)/pipe"
            try FileTree.makeFolder(folder)
            try #require(mkfifo(pipe, 0o600) == 0)
            // Opening a pipe waits for the other end, which is here at the end.
            let run = try await TestScript.run(
                "print('begun') io.open('\(pipe)')", isTrusted: true,
                cancelWhen: { if case .note(.info, _) = $0 { true } else { false } })
            close(open(pipe, O_WRONLY | O_NONBLOCK))
            #expect(run.status == .interrupted)
            #expect(run.main?.outcome == .skipped)
            #expect(run.main?.message == "interrupted")
            let isTold = run.events.contains {
                if case .note(.warning, let text) = $0 { text.contains("was abandoned") } else { false }
            }
            #expect(isTold)
        }
    }

    @Test(
        "A4: what a kernel says fails the subtest that it is said in, as `vmlab.fail_on` has it",
        arguments: [("", Outcome.failed), ("vmlab.fail_on{}", .passed), ("vmlab.fail_on{ 'kasan', 'oops' }", .failed)])
    func failOn(_ choice: String, _ outcome: Outcome) async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "g" }
            vmlab.subtest("part", function()
              \(choice)
              g:succeed("until test -e go; do sleep 0.02; done")
            end, { keep_going = true })
            """,
            when: { if case .stepStarted(let id) = $0 { id.call == "succeed" } else { false } },
            then: { backend in
                let machine = try await backend.machine("g")
                machine.kernel.say(
                    "[    2.0] Oops: 0002 [#1] PREEMPT SMP\r\n[    2.3] ---[ end trace 0000000000000000 ]---\r\n")
                _ = try OwnedDescriptor.open("\(machine.directory)/go", O_WRONLY | O_CREAT)
            })
        #expect(run.results.map(\.outcome) == [outcome, outcome], "\(run.results.map(\.message))")
        #expect(run.results.first?.trouble.map(\.kind) == ["oops"])
    }

    @Test("`vmlab.fail_on` names the kinds that there are")
    func failOnNothing() async throws {
        let run = try await TestScript.run("vmlab.fail_on{ 'ooops' }")
        #expect(run.main?.message?.contains("there is no kind \"ooops\"") == true, "\(run.main?.message ?? "")")
    }

    @Test("files are written and read as they are, small ones and large ones")
    func files() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "g" }
            local folder = g:succeed("mktemp -d")
            vmlab.defer(function() g:succeed("rm -rf " .. folder) end)
            local bytes = {}
            for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
            local all = table.concat(bytes)
            for _, size in ipairs{ 0, 1, 32, 64 } do
              local path = folder .. "/deep/it's " .. size
              g:write(path, all:rep(size))
              assert(g:read(path) == all:rep(size), size .. " times all bytes")
            end
            vmlab.raises(function() g:read(folder .. "/nowhere") end, "no such file")
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
    }

    @Test("interaction: each question is answered")
    func interaction() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "g" }
            local r = g:interact("printf 'name? '; read n; echo hello $n; exit 5", function(t)
              t:expect("name\\\\? ")
              t:send("ada\\n")
              local all, who = t:expect("hello (\\\\w+)")
              vmlab.equals({ all, who }, { "hello ada", "ada" })
            end)
            vmlab.equals(r.exit, 5)
            vmlab.raises(function() g:send("x") end, "interact")
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
    }

    @Test("interaction: the end of the input, and a script that fails in the middle of a talk")
    func endOfInput() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "g" }
            local ok = pcall(g.interact, g, "cat", function(t) t:send("half a line"); error("no more") end)
            assert(not ok)
            local r = g:interact("sort", function(t) t:send("b\\na\\n"); t:eof() end)
            vmlab.equals(r.output, "a\\nb\\n")
            g:interact("cat > /dev/null")
            g:eof()
            vmlab.raises(function() g:send(("x"):rep(5000)) end, "4095 bytes")
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
    }

    @Test(
        "arguments that make no sense are told by name, with the remedy",
        arguments: [
            (
                #"g:put("mine", "rel")"#,
                "#2 to 'put' (the path in the guest, `rel`, is not absolute: begin it with `/` or"
            ),
            (#"g:put("mine", "")"#, "#2 to 'put' (the path in the guest, ``, is not absolute"),
            (#"g:put("", "/x")"#, "#1 to 'put' (the path on the host is empty: name a file"),
            (#"g:put("mine", "/tmp/\0x")"#, "#2 to 'put' (the path in the guest, `/tmp/\\u{0}x`, has a NUL byte"),
            (#"g:put("mi\0ne", "/x")"#, "#1 to 'put' (the path on the host, `mi\\u{0}ne`, has a NUL byte"),
            (#"g:get("rel")"#, "#1 to 'get' (the path in the guest, `rel`, is not absolute"),
            (#"g:get("/a/../b")"#, "#1 to 'get' (the path in the guest, `/a/../b`, has the step `..`: name the file"),
            (#"g:get("/")"#, "#1 to 'get' (the path in the guest, `/`, is the root"),
            (#"g:read("rel")"#, "#1 to 'read' (the path in the guest, `rel`, is not absolute"),
            (#"g:write("C:x", "")"#, "#1 to 'write' (the path in the guest, `C:x`, is not absolute"),
            (#"vmlab.lab("mine.lua")"#, "#1 to 'lab' (`mine.lua` is a script, not a lab file: "),
            (#"vmlab.lab("")"#, "#1 to 'lab' (the path on the host is empty"),
            (
                #"vmlab.sleep(-1)"#,
                "#1 to 'sleep' (the duration must be from 0 to 31536000 seconds, which is a year, not -1)"
            ),
            (#"vmlab.sleep(0/0)"#, "#1 to 'sleep' (the duration must be from 0 to 31536000 seconds"),
            (#"vmlab.sleep(1/0)"#, "#1 to 'sleep' (the duration must be from 0 to 31536000 seconds"),
            (#"g:run("true", {timeout = -1})"#, "option 'timeout' must be from 0 to 31536000 seconds"),
        ])
    func arguments(call: String, problem: String) async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "g" }
            local ok, problem = pcall(function() \(call) end)
            assert(not ok and tostring(problem):find([==[\(problem)]==], 1, true), tostring(problem))
            """, files: ["mine": "", "mine.lua": ""])
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
    }

    @Test("what cannot be read, and what is asked of a guest that was ended, is told in the guest's terms")
    func guestsTerms() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{ image = "debian", name = "g" }
            local function problem(f, ...) return tostring(select(2, pcall(f, g, ...))) end
            vmlab.matches(problem(g.read, "/root"), "^.*/root could not be read: it is a folder in the guest$")
            vmlab.matches(problem(g.read, "/dev/zero"), "/dev/zero could not be read: it is a device in the guest$")
            vmlab.matches(problem(g.get, "/dev/zero"), "/dev/zero could not be collected: it is a device in the guest$")
            g:kill()
            vmlab.matches(problem(g.pause), "the script ended the guest")
            vmlab.matches(problem(g.resume), "the script ended the guest")
            """)
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
    }

    @Test("arguments, environment, modules beside the script; nothing of the host without trust")
    func surroundings() async throws {
        let run = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            vmlab.equals(vmlab.args, { "one", "two" })
            vmlab.equals(vmlab.env.COLOUR, "red")
            vmlab.equals(require("helper").answer, 42)
            vmlab.equals({ os == nil, io == nil, dofile == nil }, { true, true, true })
            """, arguments: ["one", "two"], files: ["helper.lua": "return { answer = 42 }"])
        #expect(run.status == .passed, "\(run.main?.message ?? "")")
        let trusted = try await TestScript.run("assert(os.time() > 0 and io.open)", isTrusted: true)
        #expect(trusted.status == .passed, "\(trusted.main?.message ?? "")")
    }

    @Test("the reference under Docs is the one that the functions' table makes")
    func reference() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let written = try String(contentsOf: root.appendingPathComponent("Docs/lua.md"), encoding: .utf8)
        #expect(written == APIDocument.markdown(), "run `vmlab schema --lua-reference > Docs/lua.md`")
        #expect(APIDocument.annotations().contains("function guest:succeed(command, options) end"))
    }

    @Test("each example of the reference is Lua and belongs to a function")
    func examples() {
        let written = APIDocument.markdown()
        for (function, example) in APIDocument.examples {
            #expect(LuaCheck.problem(in: Array(example.utf8), path: function) == nil)
            #expect(written.contains("\n### \(function)("), "\(function)")
        }
    }
}

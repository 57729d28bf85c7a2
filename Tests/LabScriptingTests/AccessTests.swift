import Diagnostics
import LabTestSupport
import Testing

@testable import LabScripting

@Suite("What a script may see of the host", .timeLimit(.minutes(1)))
struct AccessTests {
    @Test("S2: without --trust a script reads what lies in its own folder, and the message names what opens more")
    func reading() async throws {
        let script = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{image = "debian"}
            for _, path in ipairs{"/etc/passwd", "../../etc/passwd", "/proc/self/environ"} do
              local ok, problem = pcall(g.put, g, path, "/tmp/x")
              assert(not ok and tostring(problem):find("is outside of what may be read here", 1, true), tostring(problem))
              assert(tostring(problem):find("--allow ", 1, true), tostring(problem))
              local place = path:gsub("^[./]*", "/")
              assert(path:find("..", 1, true) or tostring(problem):find("--allow " .. place, 1, true), tostring(problem))
              local ok, problem = pcall(vmlab.lab, path)
              assert(not ok and tostring(problem):find("--allow ", 1, true), tostring(problem))
            end
            local folder = g:succeed("mktemp -d"):gsub("%s", "")
            g:put("mine", folder .. "/")
            vmlab.equals(g:read(folder .. "/mine"), "content")
            g:succeed("rm -r " .. folder)
            """, files: ["mine": "content"])
        #expect(script.status == .passed, "\(script.main?.message ?? "")")
    }

    @Test(
        "S4: a NUL in a path is an error, on the host and in the guest",
        arguments: [
            #"g:get("/etc/hostname", "x\0y")"#, #"g:get("/etc/host\0name")"#, #"g:put("mi\0ne", "/tmp/x")"#,
            #"g:put("mine", "/tmp/\0x")"#, #"g:read("/etc/\0x")"#, #"g:write("/tmp/\0x", "")"#, #"vmlab.lab("x\0y")"#,
        ])
    func nul(call: String) async throws {
        let script = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{image = "debian"}
            local ok, problem = pcall(function() \(call) end)
            assert(not ok and tostring(problem):find("NUL byte", 1, true), tostring(problem))
            """, files: ["mine": ""])
        #expect(script.status == .passed, "\(script.main?.message ?? "")")
    }

    @Test(
        "S1: what is collected stays in the results",
        arguments: ["../x", "a/../../x", "/tmp/x", "..", "logs/../.."])
    func folders(folder: String) async throws {
        let script = try await TestScript.run(
            """
            local g = require("vmlab").boot{image = "debian"}
            local ok, problem = pcall(g.get, g, "/etc/hostname", "\(folder)")
            assert(not ok and tostring(problem):find("a folder within the results", 1, true), tostring(problem))
            """)
        #expect(script.status == .passed, "\(script.main?.message ?? "")")
    }

    @Test("S1: a link that a guest makes leads no later copy out of the results")
    func steering() async throws {
        try await withTemporaryFolder { base in
            let script = try await TestScript.run(
                """
                local g = require("vmlab").boot{image = "debian"}
                g:succeed("mkdir -p \(base)/outside \(base)/guest/t && ln -s \(base)/outside \(base)/guest/t/logs")
                g:succeed("echo owned > \(base)/guest/job")
                g:get("\(base)/guest/t")
                pcall(g.get, g, "\(base)/guest/job", "t/logs/")
                g:succeed("ln -s \(base)/outside \(base)/guest/logs")
                g:get("\(base)/guest/logs")
                g:get("\(base)/guest/job", "logs/")
                g:succeed("test -z \\"$(ls -A \(base)/outside)\\"")
                """)
            #expect(script.status == .passed, "\(script.main?.message ?? "")")
        }
    }

    @Test("N22: a pattern in Lua gives each file; A13: the rule of links can be chosen; unknown words are errors")
    func options() async throws {
        let script = try await TestScript.run(
            """
            local vmlab = require "vmlab"
            local g = vmlab.boot{image = "debian"}
            local folder = g:succeed("mktemp -d"):gsub("%s", "")
            g:succeed("cd " .. folder .. " && echo 1 > a.log && echo 2 > b.log && ln -s a.log link")
            local files = { g:get(folder .. "/*.log") }
            vmlab.equals(#files, 2)
            assert(files[1]:match("/a%.log$") and files[2]:match("/b%.log$"))
            local ok, problem = pcall(g.put, g, "mine", folder .. "/x", { links = "maybe" })
            assert(not ok and tostring(problem):find('"keep" or "follow"', 1, true), tostring(problem))
            local ok, problem = pcall(g.get, g, folder .. "/a.log", "", { limit = "1B" })
            assert(not ok and tostring(problem):find("more than 1B", 1, true), tostring(problem))
            g:succeed("rm -r " .. folder)
            """, files: ["mine": ""])
        #expect(script.status == .passed, "\(script.main?.message ?? "")")
    }
}

import Foundation
import LuaRuntime
import Testing

@Suite("What scripts may do")
struct SandboxTests {
    @Test("an untrusted script has nothing that reaches beyond its state")
    func names() async throws {
        let state = try await makeState()
        let globals = try await state.run(
            """
            local names = {}
            for name in pairs(_G) do names[#names + 1] = name end
            for _, library in ipairs {'string', 'coroutine'} do
                for name in pairs(_G[library]) do names[#names + 1] = library .. '.' .. name end
            end
            table.sort(names)
            return table.concat(names, ' ')
            """)
        let ours: Set = ["sleep", "echo", "fail_later", "forever", "same", "fail", "put", "here", "trace"]
        let names = try #require(globals.first?.text).split(separator: " ").map(String.init).filter {
            !ours.contains($0)
        }
        #expect(
            names
                == """
                _G _VERSION assert collectgarbage coroutine coroutine.close coroutine.create coroutine.isyieldable \
                coroutine.resume coroutine.running coroutine.status coroutine.wrap coroutine.yield error getmetatable ipairs \
                load math next pairs pcall print rawequal rawget rawlen rawset require select setmetatable string string.byte \
                string.char string.find string.format string.gmatch string.gsub string.len string.lower string.match \
                string.pack string.packsize string.rep string.reverse string.sub string.unpack string.upper table tonumber \
                tostring type utf8 warn xpcall
                """.split(separator: " ").map(String.init))
    }

    @Test("binary chunks are refused")
    func binary() async throws {
        let trusted = try await makeState(isTrusted: true)
        let dump = try #require(try await trusted.run("return string.dump(function() end)").first)
        guard case .string(let bytes) = dump else { return }
        await #expect(throws: LuaError.self) { try await trusted.run(source: bytes.bytes, name: "b") }
        let state = try await makeState()
        try await state.setGlobal("dump", dump)
        for arguments in [
            "dump", "dump, 'x', 'b'", "dump, 'x', 'bt', {}", "function() local d = dump dump = nil return d end",
        ] {
            let results = try await state.run("return load(\(arguments))")
            #expect(results.first == .nil)
            #expect(results.last?.text?.contains("attempt to load a binary chunk") == true, "\(arguments)")
            try await state.setGlobal("dump", dump)
        }
        #expect(try await state.run("return load('return x', 'n', 't', {x = 5})(), load('return ...')(7)") == [5, 7])
        #expect(try await state.run("return pcall(load('x = 1', 'n', 't', nil))").first == false)
    }

    @Test("finalizers are refused, other metamethods are not")
    func finalizers() async throws {
        let state = try await makeState()
        let error = try await failure(of: "setmetatable({}, {__gc = print})", in: state)
        #expect(error.message == "'__gc' is not available to this script")
        let source =
            "local mt = {} local t = setmetatable({}, mt) mt.__gc = function() print('ran') end t = nil collectgarbage()"
        #expect(try await state.run(source + " return pcall(setmetatable, {}, mt)").first == false)
        #expect(
            try await state.run("return getmetatable(setmetatable({}, {__metatable = 7})), (pcall(setmetatable, 1))")
                == [7, false])
        #expect(
            try await state.run("return collectgarbage('count') > 1, (pcall(collectgarbage, 'stop'))") == [true, false])
    }

    @Test("a trusted script has the whole library, but cannot end the program")
    func trusted() async throws {
        let state = try await makeState(isTrusted: true)
        #expect(
            try await state.run("return type(io.open), type(os.getenv), type(debug.getinfo), type(package.path)") == [
                "function", "function", "function", "string",
            ])
        #expect(try await failure(of: "os.exit(0)", in: state).message.contains("would end the whole program"))
        #expect(
            try await state.run("local f = io.tmpfile() return pcall(same, f)") == [
                false, "script:1: bad argument #1 to 'same' (a userdata of another library cannot be passed)",
            ])
    }

    @Test(
        "what cannot be copied is refused with a reason",
        arguments: [
            ("local t = {} t.t = t", "a table that contains itself cannot be passed"),
            ("local t = {} for i = 1, 100 do t = {t} end", "tables more than 64 deep cannot be passed"),
            ("local t = {} for i = 1, 60 do t = {t, t} end", "more than 1000000 values in tables cannot be passed"),
            ("local t = {} for i = 1, 1000001 do t[i] = i end", "more than 1000000 values in tables cannot be passed"),
            ("local t = {[true] = 1}", "a table with a boolean as a key cannot be passed: only lists and names"),
            (
                "local t = {[1.5] = 1}",
                "a table with a number beyond its list as a key cannot be passed: only lists and names"
            ),
            (
                "local t = {[0] = 1}",
                "a table with a number beyond its list as a key cannot be passed: only lists and names"
            ),
            ("local t = coroutine.create(print)", "a thread cannot be passed"),
            (
                "local s = ('x'):rep(1e6) local t = {} for i = 1, 1000 do t[i] = s end",
                "more than 67108864 bytes cannot be passed"
            ),
        ])
    func copying(_ source: String, _ message: String) async throws {
        let state = try await makeState(limits: LuaLimits(memory: 64 << 20))
        #expect(
            try await state.run(source + " return pcall(same, t)") == [
                false, .text("script:1: bad argument #1 to 'same' (\(message))"),
            ])
    }

    @Test("nor can results that cannot be copied come back")
    func copyingResults() async throws {
        let state = try await makeState()
        let error = try await failure(of: "local t = {} t.t = t return 1, t", in: state)
        #expect(error.message == "a table that contains itself cannot be passed")
    }

    @Test("a large list passes")
    func large() async throws {
        let state = try await makeState()
        #expect(try await state.run("local t = {} for i = 1, 500000 do t[i] = i end return #same(t)") == [500_000])
        var deep: LuaValue = 1
        for _ in 0..<100 { deep = [deep] }
        let tooDeep = deep
        await #expect(throws: LuaError.self) { try await state.setGlobal("deep", tooDeep) }
    }
}

@Suite("Modules beside the script")
struct RequireTests {
    private static func withFolder(_ files: [String: String], _ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "/lua-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, text) in files {
            let path = folder + "/" + name
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try text.write(toFile: path, atomically: false, encoding: .utf8)
        }
        try await body(folder)
    }

    @Test("are loaded once, may wait, and fail with their places")
    func loading() async throws {
        try await Self.withFolder([
            "one.lua": "loads = (loads or 0) + 1 sleep() return {name = ..., x = echo(5)}",
            "lib/deep.lua": "return require('one').x + 1", "nothing.lua": "", "broken.lua": "\nx = = 1",
            "failing.lua": "\n\nerror('no')", "a.lua": "require 'b'", "b.lua": "require 'a'",
        ]) { folder in
            let state = try await makeState(moduleFolder: folder)
            #expect(
                try await state.run(
                    "return require('one').x, require 'one' == require 'one', require('one').name, loads, require 'lib.deep', require 'nothing'"
                )
                    == [5, true, "one", 1, 6, true])
            let broken = try await failure(of: "require 'broken'", in: state)
            #expect(broken.description == "\(folder)/broken.lua:2: unexpected symbol near '='")
            for _ in 0..<2 {
                let failing = try await failure(of: "require 'failing'", in: state)
                #expect(failing.description == "\(folder)/failing.lua:3: no")
            }
            let cyclic = try await failure(of: "require 'a'", in: state)
            #expect(cyclic.message.hasPrefix("module 'a' is being loaded already"))
            #expect(cyclic.location == LuaLocation(file: folder + "/b.lua", line: 1))
        }
    }

    @Test(
        "are found nowhere else",
        arguments: [
            "../outside", "/etc/passwd", "..", "link", "folder", "", "a..b", ".a", "a/b", "none", "fifo", "x\0y",
            "dir.link2.x",
        ])
    func rules(_ name: String) async throws {
        try await Self.withFolder([
            "in/here.lua": "return 1", "outside.lua": "return 'escaped'", "in/folder.lua/x": "",
            "out/x.lua": "return 'escaped'", "in/dir/y.lua": "",
        ]) { root in
            let files = FileManager.default
            try files.createSymbolicLink(atPath: root + "/in/link.lua", withDestinationPath: "../outside.lua")
            try files.createSymbolicLink(atPath: root + "/in/dir/link2", withDestinationPath: "../../out")
            mkfifo(root + "/in/fifo.lua", 0o600)
            for isTrusted in [false, true] {
                let state = try await makeState(isTrusted: isTrusted, moduleFolder: root + "/in")
                #expect(try await state.run("return require 'here'") == [1])
                try await state.setGlobal("name", .text(name))
                let error = try await failure(of: "\nrequire(name)", in: state)
                #expect(error.message.contains("not found"), "\(error)")
                #expect(error.location?.line == 2)
            }
        }
    }
}

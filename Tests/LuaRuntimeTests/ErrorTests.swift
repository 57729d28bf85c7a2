import Diagnostics
import LuaRuntime
import Testing

@Suite("Failing scripts")
struct ErrorTests {
    @Test("a failure names file and line")
    func places() async throws {
        let state = try await makeState()
        for (source, message, line) in [
            ("\nx = = 1", "unexpected symbol near '='", 2),
            ("\n\nlocal x = nil + 1", "attempt to perform arithmetic on a nil value", 3),
            ("error('plain')", "plain", 1),
            ("\nerror('no place', 0)", "no place", 2),
            ("local function f()\n error('outer', 2)\n end\n\n f()", "outer", 5),
            ("error()", "(error object is a nil value)", 1),
            ("error({})", "(error object is a table value)", 1),
            ("error({message = 'told'})", "told", 1),
            ("error(setmetatable({}, {__tostring = function() return 'made' end}))", "made", 1),
            ("error(setmetatable({}, {__tostring = function() error('worse', 0) end}))", "worse", 1),
            ("error(42)", "42", 1),
            ("error(true)", "(error object is a boolean value)", 1),
            ("coroutine.wrap(function()\n error('in there', 0) end)()", "in there", 1),
        ] {
            let error = try await failure(of: source, in: state, name: "some/t.lua")
            #expect(error.message == message)
            #expect(error.location == LuaLocation(file: "some/t.lua", line: line), "\(source)")
            #expect(error.description == "some/t.lua:\(line): \(message)")
        }
    }

    @Test("the traceback goes from the inside out")
    func traceback() async throws {
        let state = try await makeState()
        let error = try await failure(
            of: "local function inner() error('x') end\nfunction outer()\n inner()\n end\npcall(print)\nouter()",
            in: state)
        let places = error.traceback.compactMap(\.location?.line)
        #expect(places == [1, 3, 6])
        #expect(error.traceback.last?.function == "main chunk")
        #expect(error.traceback.contains { $0.function == "function 'outer'" })
    }

    @Test("a Swift error goes through a script unchanged")
    func roundTrip() async throws {
        let state = try await makeState()
        for source in [
            "fail('oh')", "fail_later('oh')", "local ok, e = pcall(fail, 'oh') error(e)",
            "local ok, e = pcall(function() fail_later('oh') end) error(e)",
            "coroutine.wrap(function() fail_later('oh') end)()",
            "local co = coroutine.create(fail) local _, e = coroutine.resume(co, 'oh') error(e, 0)",
        ] {
            let error = try await failure(of: "\n" + source, in: state)
            #expect(error.underlying as? Mishap == Mishap("oh"), "\(source)")
            #expect(error.message == "oh")
            #expect(error.location?.line == 2, "\(source)")
        }
    }

    @Test("a script can catch a Swift error and look at it")
    func caught() async throws {
        let state = try await makeState()
        let results = try await state.run(
            "local ok, e = pcall(function() fail('oh') end) return ok, tostring(e), e.message, e.place, 'it: ' .. e, e.other",
            name: "t.lua")
        #expect(results == [false, "t.lua:1: oh", "oh", "t.lua:1", "it: t.lua:1: oh", nil])
        #expect(
            try await state.run(
                "local ok, e = xpcall(fail_later, function(e) return 'handled ' .. e end, 'oh') return e", name: "t.lua"
            )
                == ["handled t.lua:1: oh"])
    }

    /// An error that tells more than its message.
    private struct Told: LuaReadableError, CustomStringConvertible {
        let description = "told"
        let luaFields: [LuaString: LuaValue] = ["exit": 3, "output": "the reason\n"]
    }

    @Test("N24: errors are tables with fields that work as their text: methods, the string library, concatenation")
    func fields() async throws {
        let state = try await makeState()
        try await state.register(LuaModule("", functions: [LuaNative("tell", body: { _ in throw Told() })]))
        for (expression, value): (String, LuaValue) in [
            ("type(e)", "table"), ("e.exit + 1", 4), ("e.output", "the reason\n"), ("e.message", "told"),
            ("e.place", "t.lua:1"), ("e:match('t(.)ld')", "o"), ("e:find('told', 1, true)", 10),
            ("e:upper()", "T.LUA:1: TOLD"),
            ("(e:gsub('told', 'said'))", "t.lua:1: said"), ("string.match(e, 'old')", "old"), ("string.len(e)", 13),
            ("tostring(e):sub(-4)", "told"), ("'<' .. e .. '>'", "<t.lua:1: told>"), ("e .. 1", "t.lua:1: told1"),
            ("('%s'):format(e)", "t.lua:1: told"), ("getmetatable(e)", false), ("same(e)", "t.lua:1: told"),
            ("pcall(setmetatable, e, {})", false), ("e.nothing", nil),
        ] {
            let results = try await state.run(
                "local ok, e = pcall(function() tell() end) return \(expression)", name: "t.lua")
            #expect(results.first ?? nil == value, "\(expression)")
        }
        let names = try await state.run(
            "local ok, e = pcall(tell) local n = {} for k in pairs(e) do n[#n + 1] = k end table.sort(n) return n")
        #expect(names == [.table(LuaTable(array: ["exit", "message", "output", "place"]))])
        // A string that is no method of strings, and what looks like an error, stay what they are.
        #expect(try await state.run("return ('x').exit, pcall(string.len, {message = 'x'})").prefix(2) == [nil, false])
    }

    @Test("N24: what a script raises is the same value behind functions that call back, and may be changed on the way")
    func sameValue() async throws {
        let state = try await makeState()
        try await state.register(
            LuaModule(
                "", functions: [LuaNative("within", waiting: { call in try await call.function(1).call() })]))
        let results = try await state.run(
            "local mine = {code = 5} local ok, e = pcall(within, function() error(mine) end) "
                + "local ok2, s = pcall(within, function() error('text', 0) end) return ok, e == mine, e.code, s")
        #expect(results == [false, true, 5, "text"])
        let error = try await failure(
            of:
                "within(function()\n local ok, e = pcall(fail, 'oh') e.message = 'while it ran: ' .. e.message error(e)\n end)",
            in: state)
        #expect(error.description == "t.lua:2: while it ran: oh")
        #expect(error.underlying as? Mishap == Mishap("oh"))
        #expect(error.traceback.compactMap(\.location?.line).contains(1))
    }

    @Test("diagnostics are told with their remedy")
    func diagnostics() async throws {
        let state = try await makeState()
        try await state.register(
            LuaModule(
                "",
                functions: [
                    LuaNative(
                        "check",
                        body: { _ in throw Diagnostic(.specification, "no such thing", remedy: "name another") })
                ]))
        let error = try await failure(of: "check()", in: state)
        #expect(error.message == "no such thing (name another)")
        #expect((error.underlying as? Diagnostic)?.message == "no such thing")
    }

    @Test("what fails in __close and __gc is told")
    func closing() async throws {
        let printed = Printed()
        let state = try await makeState(isTrusted: true, printed: printed)
        let error = try await failure(
            of:
                "local x <close> = setmetatable({}, {__close = function(_, e) error('close saw ' .. e, 0) end}) error('first', 0)",
            in: state)
        #expect(error.message == "first")
        #expect(printed.lines == ["Lua warning: error in __close: close saw first"])
        let caught = try await state.run(
            "return pcall(function() local x <close> = setmetatable({}, {__close = function(_, e) error('close saw ' .. e, 0) end}) error('first', 0) end)"
        )
        #expect(caught == [false, "close saw first"])
        _ = try await state.run(
            "setmetatable({}, {__gc = function() error('in gc', 0) end}) collectgarbage() collectgarbage()")
        #expect(printed.lines.last == "Lua warning: error in __gc (in gc)")
        // A finalizer may call Swift, but not wait.
        _ = try await state.run(
            "setmetatable({}, {__gc = function() same(1) ok, why = pcall(echo, 1) end}) collectgarbage() collectgarbage()"
        )
        #expect(try await state.run("return ok, why") == [false, "attempt to yield across a C-call boundary"])
    }

    @Test("a memory error in a script names its limit")
    func memory() async throws {
        let state = try await makeState(limits: LuaLimits(memory: 8 << 20))
        for source in [
            "local s = ('x'):rep(2000000000)", "local t = {} for i = 1, 1e9 do t[i] = i end",
            "local s = 'x' while true do s = s .. s end", "same(('x'):rep(3 << 20), ('x'):rep(3 << 20))",
            "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
            "local f = load('return ' .. ('{'):rep(150) .. ('}'):rep(150)) local t = {} for i = 1, 1e9 do t[i] = f() end",
        ] {
            let error = try await failure(of: source, in: state)
            #expect(error.message == "not enough memory: the script's limit is 8MiB", "\(source): \(error)")
            #expect(try await state.run("collectgarbage() return pcall(string.rep, 'x', 1 << 40)").first == false)
        }
        #expect(try await state.memoryInUse() < 8 << 20)
        #expect(try await state.run("return select(2, pcall(string.rep, 'x', 2000000000))") == ["not enough memory"])
    }
}

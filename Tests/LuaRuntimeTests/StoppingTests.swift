import Foundation
import LuaRuntime
import Testing

@Suite("Stopping scripts")
struct StoppingTests {
    /// None of these ends by itself.
    static let endless = [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(same) end",
        "repeat until pcall(error) ",
        "local function f() return f() end f()",
        "coroutine.wrap(function() while true do end end)()",
        "while true do local co = coroutine.wrap(function() while true do end end) pcall(co) end",
        "local function nest() while true do pcall(coroutine.wrap(nest)) end end nest()",
        "while true do coroutine.wrap(function() coroutine.yield() end)() end",
        "for _ in function() return 1 end do end",
        "return #setmetatable({}, {__len = function() while true do end end})",
        "xpcall(function() while true do end end, function() while true do end end)",
        "while true do xpcall(error, function() while true do end end) end",
        "while true do pcall(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) error() end) end",
        "local x <close> = setmetatable({}, {__close = function() while true do end end}) while true do end",
        "while true do collectgarbage() end",
        "table.sort({1, 2, 3}, function() while true do end end)",
        "string.gsub('x', '.', function() while true do end end)",
        "load(function() return ' ' end)",
        "while true do load('return 1')() end",
        "goto top ::top:: goto top",
        "local s = ('a'):rep(1e6) s:find('.-.-.-b')",
        "local s = ('a'):rep(1e6) s:gsub('.-.-.-b', '')",
        "for _ in ('a'):rep(1e6):gmatch('.-.-.-b') do end",
        "local s = ('a'):rep(34) s:match(('a?'):rep(34) .. s .. 'b')",
        "while true do pcall(string.find, ('a'):rep(1e6), '.-.-.-b') end",
        "local s = ('('):rep(1e6) s:find('.-%b().-%b()$')",
    ]

    @Test("an endless script ends at its budget", arguments: endless)
    func budget(_ source: String) async throws {
        let state = try await makeState(limits: LuaLimits(instructions: 100_000))
        let error = try await failure(of: source, in: state)
        #expect(
            error.message == "the script ran 100000 instructions without waiting, which is the limit"
                || error.message.contains("stack overflow"))
        #expect(try await state.run("return echo(1)") == [1])
    }

    @Test("an endless script ends when it is cancelled", arguments: endless)
    func cancellation(_ source: String) async throws {
        let gate = Gate()
        let state = try await makeState(limits: LuaLimits(instructions: nil, grace: .seconds(60)))
        try await state.register(
            LuaModule(
                "",
                functions: [
                    LuaNative(
                        "open",
                        body: { _ in
                            gate.open(); return []
                        })
                ]))
        let script = Task { try await state.run("open() " + source) }
        await gate.wait()
        script.cancel()
        await #expect(throws: CancellationError.self) { try await script.value }
        #expect(try await state.run("return echo(1)") == [1])
    }

    @Test("waiting gives a fresh budget")
    func freshBudget() async throws {
        let state = try await makeState(limits: LuaLimits(instructions: 100_000))
        let source = "local n = 0 for i = 1, 50 do for j = 1, 10000 do n = n + 1 end sleep() end return n"
        #expect(try await state.run(source) == [500_000])
        let another = try await failure(of: source.replacingOccurrences(of: "sleep()", with: ""), in: state)
        #expect(another.message.contains("instructions"))
    }

    @Test("a cancelled wait closes its coroutines, from the inside out, without going on")
    func closing() async throws {
        let printed = Printed()
        let gate = Gate()
        let state = try await makeState(printed: printed)
        try await state.register(
            LuaModule(
                "",
                functions: [
                    LuaNative(
                        "stuck",
                        waiting: { _ in
                            gate.open()
                            try await Task.sleep(for: .seconds(3600))
                            return []
                        })
                ]))
        let script = Task {
            try await state.run(
                """
                local function guard(name) return setmetatable({}, {__close = function() print(name, pcall(echo, 1)) end}) end
                local outer <close> = guard('outer')
                coroutine.wrap(function()
                    local inner <close> = guard('inner')
                    pcall(function()
                        local innermost <close> = guard('innermost')
                        print(pcall(stuck))
                        print('went on')
                    end)
                    print('went on')
                end)()
                print('went on')
                """)
        }
        await gate.wait()
        script.cancel()
        await #expect(throws: CancellationError.self) { try await script.value }
        let refusal = "\tfalse\tattempt to yield across a C-call boundary"
        #expect(printed.lines == ["innermost", "inner", "outer"].map { $0 + refusal })
        #expect(try await state.run("return echo(1)") == [1])
    }

    @Test("__close that waits in a coroutine of its own, while its script is closed, is refused")
    func closingWithCoroutines() async throws {
        let printed = Printed()
        let state = try await makeState(printed: printed)
        await #expect(throws: LuaError.self) {
            try await state.run(
                """
                local x <close> = setmetatable({}, {__close = function() print(pcall(coroutine.wrap(echo), 1)) end})
                local y <close> = setmetatable({}, {__close = function() print(pcall(coroutine.wrap(function() return coroutine.wrap(echo)(1) end))) end})
                error('x')
                """)
        }
        #expect(printed.lines.count == 2)
        #expect(printed.lines.allSatisfy { $0.hasSuffix("attempt to yield across a C-call boundary") })
        #expect(try await state.run("return echo(1)") == [1])
    }

    @Test("a script stuck in a function that does not return is given up, says so, and closing does not wait for it")
    func abandonment() async throws {
        let state = try await makeState(limits: LuaLimits(grace: .milliseconds(200)))
        let gate = Gate()
        let release = DispatchSemaphore(value: 0)
        defer { release.signal() }
        let stuck = LuaNative(
            "stuck",
            body: { _ in
                gate.open()
                release.wait()
                return []
            })
        try await state.register(LuaModule("", functions: [stuck]))
        let script = Task { try await state.run("stuck()") }
        await gate.wait()
        let other = Task { try await state.run("return 1") }
        script.cancel()
        let error = await #expect(throws: LuaError.self) { try await script.value }
        #expect(error?.message.contains("stuck in a function that cannot be interrupted") == true)
        await #expect(throws: LuaError.self) { try await other.value }
        await #expect(throws: LuaError.self) { try await state.run("return 1") }
        await state.close()
    }

    @Test("a script that only waits for its turn ends when it is cancelled, and the other goes on")
    func cancelledInTheQueue() async throws {
        let state = try await makeState(limits: LuaLimits(instructions: nil, grace: .milliseconds(50)))
        let gate = Gate()
        try await state.register(
            LuaModule(
                "",
                functions: [
                    LuaNative(
                        "open",
                        body: { _ in
                            gate.open(); return []
                        })
                ]))
        let busy = Task { try await state.run("open() while true do end") }
        await gate.wait()
        let queued = Task { try await state.run("return 1") }
        queued.cancel()
        await #expect(throws: CancellationError.self) { try await queued.value }
        busy.cancel()
        // The grace is short, so that a slow host may give the state up: either way it ends.
        await #expect(throws: (any Error).self) { try await busy.value }
    }

    @Test(
        "S7: a cancelled script that is inside a long call of the library ends, and its state goes on",
        arguments: [
            "pcall(string.find, ('a'):rep(1e6), '.-.-.-b')",
            "table.sort(setmetatable({}, {__len = function() return 1 << 23 end, __index = rawlen, __newindex = rawlen}), math.ult)",
            "local t = {} for i = 1, 1e6 do t[i] = 1 end while true do table.sort(t) end",
            "local t = {} for i = 1, 1e6 do t[i] = '' end while true do table.concat(t) end",
            "while true do local s = ('x'):rep(1e7) s:upper() end",
            "local s = ('x'):rep(1e7) while true do s:find('y', 1, true) end",
            "local s = ('x'):rep(1e7) while true do utf8.len(s) end",
            "local t = {} for i = 1, 1e6 do t[i] = 1 end for i = 1, 1e6 do t[i] = nil end while true do next(t) end",
        ])
    func longCalls(_ source: String) async throws {
        let state = try await makeState(limits: LuaLimits(instructions: nil, grace: .seconds(60)))
        let gate = Gate()
        let begun = LuaNative(
            "begun",
            body: { _ in
                gate.open()
                return []
            })
        try await state.register(LuaModule("", functions: [begun]))
        let script = Task { try await state.run("begun() " + source + " while true do end") }
        await gate.wait()
        script.cancel()
        await #expect(throws: (any Error).self) { try await script.value }
        #expect(try await state.run("return echo(1)") == [1])
    }

    /// Loops of C's over lengths that nothing holds.
    @Test(
        "S7: lengths that no table of a script can have are an error at once",
        arguments: [
            "table.move({}, 1, 1 << 60, 2)", "table.move({}, math.mininteger, math.maxinteger, 2)",
            "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)",
            "table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)",
            "table.concat(setmetatable({}, {__index = table.concat}), '', 1, 1 << 60)",
            "table.concat(setmetatable({}, {__index = table.concat, __len = function() return 1 << 60 end}))",
            "table.sort(setmetatable({}, {__len = function() return 1 << 30 end}), math.ult)",
        ])
    func lengths(_ source: String) async throws {
        let state = try await makeState(limits: LuaLimits(instructions: nil))
        let error = try await failure(of: source, in: state)
        #expect(error.message == "too many elements (at most 16777216 at once)")
    }

    @Test("S7: the functions that are bounded do what liblua's do")
    func bounded() async throws {
        let state = try await makeState()
        let source = """
            local words = {}
            for word, at in ("one two  three"):gmatch("(%a+)()", 2) do words[#words + 1] = word .. at end
            local sorted = {3, 1, 2}
            table.sort(sorted)
            return table.concat(words, ","), ("key = value"):match("^(%w+)%s*=%s*(%w*)$"),
                ("THE (quick) fox"):find("%((%a+)%)"), ("hello world"):gsub("o", {o = 0}), ("abc"):gsub("%w", "%0%0", 2),
                ("x=1, y=[[2]]"):find("[[", 1, true), ("f(a(b)c)d"):match("%b()"), ("THE (quick) fox"):gsub("%f[%a]%a+", string.lower),
                (""):rep(1 << 60), ("ab"):rep(3, "-"), table.concat(sorted, " "), ("a.b"):find("."), ("aXbX"):match("(X)b%1")
            """
        // Each call but the last gives its first result.
        #expect(
            try await state.run(source) == [
                "ne4,two8,three15", "key", 5, "hell0 w0rld", "aabbc", 8, "(a(b)c)", "the (quick) fox", "", "ab-ab-ab",
                "1 2 3",
                1, "X",
            ])
    }

    @Test(
        "what recurs without end is an error",
        arguments: [
            "local function f() return 1 + f() end f()",
            "local function f() return (string.gsub('a', '.', f)) end f()",
            "local function f() coroutine.wrap(f)() end f()",
            "local t = {} for i = 1, 1e5 do t = setmetatable({}, {__index = t}) end return t.x",
            "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x",
            "return load(('('):rep(10000) .. '1' .. (')'):rep(10000))()",
            "local function f() table.sort({1, 2, 3}, f) end f()",
            "local function f() pcall(f) error('x') end f()",
            "local function f() xpcall(f, f) error('x') end f()",
            "local function f() error(setmetatable({}, {__tostring = f})) end f()",
            "local mt = {} mt.__tostring = function(t) return tostring(t) end print(setmetatable({}, mt))",
            "string.rep('x', 100, ('y'):rep(1e8)):rep(1e9)",
            """
            local function loop()
                local co = coroutine.create(function()
                    local x <close> = setmetatable({}, {__close = function() loop() end}) coroutine.yield() end)
                coroutine.resume(co) assert(coroutine.close(co))
            end
            function _G.loop() loop() end
            loop()
            """,
            """
            function chain(n)
                local co = coroutine.wrap(function()
                    local x <close> = setmetatable({}, {__close = function() chain(n + 1) end}) error('x') end)
                co()
            end
            chain(1)
            """,
        ])
    func recursion(_ source: String) async throws {
        let state = try await makeState(limits: LuaLimits(memory: 64 << 20, instructions: 1_000_000))
        _ = try await failure(of: source, in: state)
        #expect(try await state.run("return echo(1)") == [1])
    }

    @Test("ten thousand coroutines wait one after the other")
    func manyCoroutines() async throws {
        let state = try await makeState()
        #expect(
            try await state.run(
                """
                local all = {}
                for i = 1, 10000 do all[i] = coroutine.create(function() local a = echo(i) coroutine.yield(a) return a end) end
                local sum = 0
                for i = 1, 10000 do local _, a = coroutine.resume(all[i]) sum = sum + a end
                for i = 1, 10000 do coroutine.resume(all[i]) end
                return sum
                """) == [50_005_000])
    }
}

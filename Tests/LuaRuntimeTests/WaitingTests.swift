import Foundation
import LuaRuntime
import Synchronization
import Testing

@Suite("Functions that wait")
struct WaitingTests {
    /// Each is true when a function that waits does its work in that place.
    static let places: [(name: String, source: String)] = [
        ("main", "return echo(1) == 1"),
        ("pcall", "return select(2, pcall(echo, 1)) == 1 and select(2, pcall(function() return echo(2) end)) == 2"),
        ("xpcall", "return select(2, xpcall(function(x) return echo(x) end, print, 3)) == 3"),
        (
            "wrap",
            "local f = coroutine.wrap(function(a) local b = coroutine.yield(echo(a)) return echo(b) end) return f(1) == 1 and f(2) == 2"
        ),
        (
            "resume",
            "local co = coroutine.create(function(a) return echo(a), 2 end) local ok, a, b = coroutine.resume(co, 1) return ok and a == 1 and b == 2 and coroutine.status(co) == 'dead'"
        ),
        (
            "nested coroutines",
            """
            local function nest(n) if n == 0 then return echo(42) end return coroutine.wrap(nest)(n - 1) end
            return nest(20) == 42
            """
        ),
        (
            "coroutines within pcall within coroutines",
            """
            local f = coroutine.wrap(function()
                local ok, v = pcall(function()
                    local co = coroutine.create(function() local x = echo(1) coroutine.yield(x) error('e' .. echo(2), 0) end)
                    local _, one = coroutine.resume(co)
                    local ok, e = coroutine.resume(co)
                    return one .. tostring(ok) .. e
                end)
                coroutine.yield(v)
                return echo(9)
            end)
            return f() == '1falsee2' and f() == 9
            """
        ),
        (
            "iterator",
            """
            local function upto(n, i) i = echo(i) + 1 if i <= n then return i end end
            local sum = 0
            for i in upto, 5, 0 do sum = sum + i end
            for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(echo(i)) end end) do sum = sum + i end
            return sum == 21
            """
        ),
        (
            "metamethods",
            """
            local t = setmetatable({}, {
                __index = function(_, k) return echo(k) end, __add = function() return echo(3) end,
                __call = function(_, x) return echo(x) end, __lt = function() return echo(true) end,
                __concat = function() return echo('c') end, __eq = function() return echo(true) end,
                __len = function() return echo(8) end, __close = function() sleep() closed = true end,
                __newindex = function(t, k, v) rawset(t, k, echo(v)) end})
            do local guard <close> = t end
            t.x = 5
            return t.foo == 'foo' and t + t == 3 and t(4) == 4 and t < t and t .. t == 'c' and #t == 8
                and t == setmetatable({}, getmetatable(t)) and closed and rawget(t, 'x') == 5
            """
        ),
        (
            "yield across pcall with a wait between",
            """
            local co = coroutine.wrap(function() return pcall(function() sleep() return coroutine.yield(1) + echo(1) end) end)
            local one = co()
            local ok, two = co(1)
            return one == 1 and ok and two == 2
            """
        ),
    ]

    @Test("wait wherever Lua lets a coroutine yield", arguments: places.map(\.name))
    func waits(_ place: String) async throws {
        let source = try #require(Self.places.first { $0.name == place }?.source)
        let state = try await makeState()
        #expect(try await state.run(source) == [true])
    }

    @Test(
        "elsewhere it is an error, not a crash",
        arguments: [
            "table.sort({1, 2, 3}, function(a, b) sleep() return a < b end)",
            "string.gsub('a', '.', function() return echo('b') end)",
            "assert(load(function() return echo(nil) end))",
            "tostring(setmetatable({}, {__tostring = function() return echo('x') end}))",
            // A coroutine may wait, but not when whoever resumed it may not.
            "table.sort({1, 2, 3}, function(a, b) return coroutine.wrap(function() sleep() return a < b end)() end)",
            "table.sort({1, 2, 3}, function(a, b) return coroutine.wrap(function() return coroutine.wrap(echo)(a < b) end)() end)",
        ])
    func refusals(_ source: String) async throws {
        let state = try await makeState()
        let error = try await failure(of: source, in: state)
        #expect(error.message.contains("attempt to yield across a C-call boundary"), "\(error)")
        #expect(try await state.run("return echo(1)") == [1])
        #expect(try await state.run("local ok, e = pcall(function() \(source) end) return ok, echo(2)") == [false, 2])
    }

    @Test("a coroutine's status while it waits is that of one that resumed another")
    func status() async throws {
        let state = try await makeState()
        _ = try await state.run("co = coroutine.create(function() forever() end)")
        let waiting = Task { try await state.run("top = coroutine.running() return coroutine.resume(co)") }
        var status: [LuaValue] = []
        let deadline = ContinuousClock.now + .seconds(30)
        while status != ["normal"], ContinuousClock.now < deadline {
            status = try await state.run("return coroutine.status(co)")
        }
        #expect(status == ["normal"])
        let refusal: [LuaValue] = [false, "cannot resume non-suspended coroutine"]
        #expect(try await state.run("return coroutine.resume(co)") == refusal)
        #expect(try await state.run("return coroutine.resume(top)") == refusal)
        #expect(try await state.run("return pcall(coroutine.close, co)") == [false, "cannot close a normal coroutine"])
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(try await state.run("return coroutine.status(co)") == ["dead"])
    }

    @Test("the library coroutine is as the manual says")
    func library() async throws {
        let state = try await makeState()
        #expect(try await state.run("return select(2, coroutine.running()), coroutine.isyieldable()") == [true, false])
        #expect(
            try await state.run("return select(2, pcall(coroutine.yield, 1))") == [
                "attempt to yield from outside a coroutine"
            ])
        #expect(
            try await state.run(
                """
                local co co = coroutine.create(function() return coroutine.status(co), coroutine.isyieldable(), select(2, coroutine.running()) end)
                return coroutine.status(co), coroutine.resume(co)
                """) == ["suspended", true, "running", true, false])
        #expect(
            try await state.run("local co = coroutine.wrap(error) return pcall(co, 'x')", name: "w") == [false, "x"])
        #expect(
            try await state.run("local co = coroutine.wrap(function() end) co() return pcall(co)") == [
                false, "cannot resume dead coroutine",
            ])
        #expect(
            try await state.run(
                """
                local seen
                local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = function(_, e) seen = e end}) coroutine.yield() end)
                coroutine.resume(co)
                return coroutine.close(co), seen, coroutine.status(co)
                """) == [true, nil, "dead"])
        #expect(
            try await state.run(
                """
                local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = function(_, e) error('in close', 0) end}) coroutine.yield() end)
                coroutine.resume(co)
                return coroutine.close(co)
                """) == [false, "in close"])
        #expect(try await state.run("return pcall(coroutine.resume, 1)").first == false)
    }

    @Test("one goes on while another waits")
    func turns() async throws {
        let state = try await makeState()
        let gate = Gate()
        try await state.register(
            LuaModule(
                "",
                functions: [
                    LuaNative(
                        "wait",
                        waiting: { _ in
                            await gate.wait(); return []
                        }),
                    LuaNative(
                        "open",
                        body: { _ in
                            gate.open(); return []
                        }),
                ]))
        async let first = state.run("log = {} wait() log[#log + 1] = 'first' return #log")
        async let second = state.run("while not log do sleep() end log[#log + 1] = 'second' open() return #log")
        #expect(try await second == [1])
        #expect(try await first == [2])
    }

    @Test("a Swift function calls back into the script, many at once")
    func callingBack() async throws {
        let state = try await makeState()
        try await state.register(
            LuaModule(
                "",
                functions: [
                    LuaNative(
                        "parallel",
                        waiting: { call in
                            let bodies = try call.table(1).array
                            let results = try await withThrowingTaskGroup(of: (Int, [LuaValue]).self) { group in
                                for (index, body) in bodies.enumerated() {
                                    guard case .function(let function) = body else { continue }
                                    group.addTask { (index, try await function.call([.integer(Int64(index))])) }
                                }
                                return try await group.reduce(into: [Int: [LuaValue]]()) { $0[$1.0] = $1.1 }
                            }
                            return bodies.indices.map { results[$0]?.first ?? .nil }
                        })
                ]))
        #expect(
            try await state.run(
                """
                local list = {}
                for i = 1, 100 do list[i] = function(n) sleep() return echo(n) * 2 end end
                local results = {parallel(list)}
                local sum = 0
                for i = 1, #results do sum = sum + results[i] end
                return sum
                """) == [9900])
        let error = try await failure(of: "parallel {function() sleep() fail('inside') end, forever}", in: state)
        #expect(error.underlying as? Mishap == Mishap("inside"))
        #expect(error.location == LuaLocation(file: "t.lua", line: 1))
    }
}

/// What is waited for until it is opened.
final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

import LuaRuntime
import Testing

@Suite("Running Lua")
struct BasicTests {
    @Test("results come back")
    func results() async throws {
        let state = try LuaState()
        #expect(try await state.run("return 1, 2.5, 'x', true, nil") == [1, 2.5, "x", true, nil])
        #expect(try await state.run("") == [])
    }

    @Test("values go both ways unchanged")
    func values() async throws {
        let state = try await makeState()
        let values: [LuaValue] = [
            nil, true, false, 7, .integer(.min), .integer(.max), 0.5, .number(.infinity), .number(.nan),
            "", "text", .string(LuaString([0, 255, 10])), [1, 2, [3, nil, "x"]], ["a": 1, "b": ["c": [true]]],
            .table(LuaTable(array: [1, 2], fields: ["n": 2])),
        ]
        for value in values {
            try await state.setGlobal("value", value)
            #expect(try await state.run("return same(value)") == [value])
            #expect(try await state.run("return echo(value)") == [value])
            #expect(try await state.global("value") == value)
        }
        let types = try await state.run("return math.type(same(1)), math.type(same(1.0)), #same('\\0\\xff')")
        #expect(types == ["integer", "float", 2])
    }

    @Test("functions go both ways, and live as long as they are held")
    func functions() async throws {
        let state = try await makeState()
        var function: LuaFunction?
        if case .function(let value)? = try await state.run("local n = 0 return function(d) n = n + d return n end")
            .first
        {
            function = value
        }
        let counter = try #require(function)
        _ = try await state.run("collectgarbage()")
        #expect(try await counter.call([2]) == [2])
        #expect(try await counter.call([3]) == [5])
        try await state.setGlobal("f", .function(counter))
        #expect(try await state.run("return f(1), same(f) == f") == [6, true])
        let other = try await makeState()
        await #expect(throws: LuaError.self) { try await other.setGlobal("f", .function(counter)) }
    }

    @Test("typed accessors complain as Lua's own functions do")
    func arguments() async throws {
        let state = try await makeState()
        #expect(try await state.run("return put('a', 2.0)") == ["a", 2])
        #expect(try await state.run("return put(12, 3)") == ["12", 3])
        for (call, message) in [
            ("put(nil, 1)", "bad argument #1 to 'put' (string expected, got nil)"),
            ("put()", "bad argument #1 to 'put' (string expected, got no value)"),
            ("put('a', {})", "bad argument #2 to 'put' (number expected, got table)"),
            ("put('a', 1.5)", "bad argument #2 to 'put' (number has no integer representation)"),
        ] {
            let error = try await failure(of: "\n" + call, in: state)
            #expect(error.message == message)
            #expect(error.location == LuaLocation(file: "t.lua", line: 2))
            #expect(
                try await state.run("return select(2, pcall(function() \(call) end))", name: "u.lua")
                    == [.text("u.lua:1: " + message)])
        }
    }

    @Test("a call knows where it was made, through coroutines too")
    func places() async throws {
        let state = try await makeState()
        #expect(try await state.run("\n\nreturn (here())", name: "Labs/some/where.lua") == ["Labs/some/where.lua:3"])
        #expect(try await state.run("return select(2, pcall(here))", name: "p.lua") == ["p.lua:1"])
        let long = String(repeating: "deep/", count: 30) + "x.lua"
        #expect(try await state.run("return (here())", name: long) == [.text(long + ":1")])
        #expect(try await failure(of: "\nerror('no')", in: state, name: long).location?.file == long)
        let trace = try await state.run(
            "local function inner() return (trace()) end\nlocal co = coroutine.wrap(function() local t = inner() return t end)\nlocal t = co() return t",
            name: "c.lua")
        let text = try #require(trace.first?.text)
        #expect(text.hasPrefix("c.lua:1: in "))
        #expect(text.contains("c.lua:2: in function <c.lua:2>"))
        #expect(text.hasSuffix("c.lua:3: in main chunk"))
    }

    @Test("modules are globals and can be required")
    func modules() async throws {
        let state = try await makeState()
        try await state.register(LuaModule("lab", functions: [LuaNative("one", body: { _ in [1] })]))
        try await state.register(LuaModule("lab.deep", values: ["x": 5]))
        try await state.register(LuaModule("lab", values: ["args": ["a", "b"]]))
        #expect(
            try await state.run(
                "return lab.one(), lab.deep.x, lab.args[2], require 'lab' == lab, require('lab.deep').x")
                == [1, 5, "b", true, 5])
        await #expect(throws: LuaError.self) { try await state.register(LuaModule("lab.one.x")) }
    }

    @Test("print and warnings go to the handler")
    func printing() async throws {
        let printed = Printed()
        let state = try await makeState(isTrusted: true, printed: printed)
        _ = try await state.run("print('a', 1, nil, {} ~= nil) print() warn('uh', '-oh')")
        #expect(printed.lines == ["a\t1\tnil\ttrue", "", "Lua warning: uh-oh"])
    }

    @Test("many states come and go without leaving threads or descriptors")
    func manyStates() async throws {
        func count(_ folder: String) throws -> Int {
            try countEntries("/proc/self/\(folder)")
        }
        let before = (try count("task"), try count("fd"))
        for _ in 0..<20 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        let state = try await makeState()
                        #expect(try await state.run("return echo(1)") == [1])
                        await state.close()
                        await #expect(throws: LuaError.self) { try await state.run("") }
                    }
                }
                try await group.waitForAll()
            }
        }
        // Other tests have threads too, so this only sees a leak of many.
        #expect(try count("task") < before.0 + 100)
        #expect(try count("fd") < before.1 + 100)
    }
}

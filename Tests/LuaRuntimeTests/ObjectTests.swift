import LuaRuntime
import Synchronization
import Testing

/// An object that scripts handle.
private final class Guest: Sendable {
    let name: String
    let log = Mutex<[String]>([])
    static let alive = Atomic<Int>(0)

    init(_ name: String) {
        self.name = name
        Self.alive.add(1, ordering: .relaxed)
    }

    deinit { Self.alive.subtract(1, ordering: .relaxed) }

    static let type = LuaClass(
        "guest", "A machine.",
        methods: [
            LuaNative(
                "run", parameters: [LuaParameter("command", "string", "what to run")],
                waiting: { call in
                    await Task.yield()
                    let guest: Guest = try call.receiver()
                    let command = try call.string(1)
                    guest.log.withLock { $0.append(command) }
                    return [.text("\(guest.name) ran \(command)")]
                }),
            LuaNative(
                "twin",
                body: { call in
                    [.boolean(try call.object(1, as: Guest.self, expected: "guest") === (try call.receiver()))]
                }),
        ],
        fields: [
            LuaField("name", "string", "its name", of: Guest.self) { .text($0.name) },
            LuaField("broken", "string") { _ in throw Mishap("cannot tell") },
        ],
        metamethods: [
            LuaNative(
                "__close",
                waiting: { call in
                    await Task.yield()
                    let guest: Guest = try call.receiver()
                    guest.log.withLock { $0.append("closed") }
                    return []
                }),
            LuaNative("__len", body: { _ in [3] }),
        ],
        describe: { "guest '\(($0.object as? Guest)?.name ?? "?")'" })
}

@Suite("Swift objects in scripts")
struct ObjectTests {
    @Test("methods, fields, events and text")
    func use() async throws {
        let state = try await makeState()
        let guest = Guest("web")
        try await state.setGlobal("g", .object(LuaObject(guest, Guest.type)))
        #expect(
            try await state.run("return g.name, g:run('ls'), tostring(g), #g, same(g) == g, g:twin(g)") == [
                "web", "web ran ls", "guest 'web'", 3, true, true,
            ])
        #expect(
            try await state.run("do local x <close> = g x:run('inside') end return g") == [
                .object(LuaObject(guest, Guest.type))
            ])
        #expect(guest.log.withLock { $0 } == ["ls", "inside", "closed"])
    }

    @Test(
        "mistakes are told with what was meant",
        arguments: [
            ("g.nmae", "a guest has no `nmae` (did you mean `name`?)"),
            ("g:rnu()", "a guest has no `rnu` (did you mean `run`?)"),
            ("g[1]", "a guest has no such field"),
            ("g.name = 'x'", "cannot set 'name': the fields of a guest are read only"),
            ("g.run('ls')", "calling 'run' on bad self (guest expected, got string): is it called with a colon?"),
            ("g.run()", "calling 'run' on bad self (guest expected, got no value): is it called with a colon?"),
            ("g.run({})", "calling 'run' on bad self (guest expected, got table): is it called with a colon?"),
            ("g:run({})", "bad argument #1 to 'run' (string expected, got table)"),
            ("g:twin(1)", "bad argument #1 to 'twin' (guest expected, got number)"),
            ("g.broken", "cannot tell"),
            ("put(g)", "bad argument #1 to 'put' (string expected, got guest)"),
            ("getmetatable(g).__gc()", "attempt to index a boolean value"),
            ("setmetatable(g, {})", "bad argument #1 to 'setmetatable' (table expected, got guest)"),
        ])
    func mistakes(_ use: String, _ message: String) async throws {
        let state = try await makeState()
        try await state.setGlobal("g", .object(LuaObject(Guest("web"), Guest.type)))
        let error = try await failure(of: "\n" + (use.contains("= ") ? use : "local x = " + use), in: state)
        #expect(error.message == message)
        #expect(error.location?.line == 2)
    }

    @Test("completion knows tables, objects and what they inherit")
    func completion() async throws {
        let state = try await makeState()
        try await state.setGlobal("g", .object(LuaObject(Guest("web"), Guest.type)))
        _ = try await state.run(
            "lab = setmetatable({web = g, ['not a name'] = 1, [1] = 2}, {__index = {wait = print, size = 1}})")
        #expect(await state.complete(expression: "g.") == ["g.broken", "g.name", "g.run", "g.twin"])
        #expect(await state.complete(expression: "g:") == ["g:run", "g:twin"])
        #expect(await state.complete(expression: "lab.w") == ["lab.wait", "lab.web"])
        #expect(await state.complete(expression: "lab:") == ["lab:wait"])
        #expect(await state.complete(expression: "lab.web:r") == ["lab.web:run"])
        #expect(await state.complete(expression: "coroutine.wr") == ["coroutine.wrap"])
        #expect(await state.complete(expression: "pri") == ["print"])
        #expect(await state.complete(expression: "lab.none.x") == [])
        #expect(await state.complete(expression: "lab..x:") == [])
    }
}

@Suite("Lifetimes", .serialized)
struct LifetimeTests {
    @Test("objects and functions go when neither side holds them")
    func release() async throws {
        let before = Guest.alive.load(ordering: .relaxed)
        let state = try await makeState()
        for index in 0..<100 {
            try await state.setGlobal("g", .object(LuaObject(Guest("\(index)"), Guest.type)))
            _ = try await state.run("return function() return g end, g")
        }
        _ = try await state.run("g = nil collectgarbage() collectgarbage()")
        #expect(Guest.alive.load(ordering: .relaxed) < before + 50)
        try await state.setGlobal("g", .object(LuaObject(Guest("last"), Guest.type)))
        await state.close()
    }
}

import CLua
import CLuaShims
import Diagnostics

/// Names that Swift gives to scripts, and names of scripts. No script runs here: all accesses are raw.
extension Interpreter {
    /// Creates a module's table, or adds to it.
    func register(_ module: LuaModule) throws {
        let top = lua_gettop(state)
        defer { lua_settop(state, top) }
        guard lua_checkstack(state, 10) != 0 else { throw LuaError(message: "stack overflow") }
        luart_push_globals(state)
        for part in module.name.split(separator: ".") {
            if step(into: String(part)) == LUA_TTABLE { continue }
            guard lua_type(state, -1) == LUA_TNIL else {
                throw LuaError(message: "\(module.name.quoted()) cannot be registered: \(part.quoted()) is no table")
            }
            luart_pop(state, 1)
            lua_createtable(state, 0, 0)
            pushText(String(part), on: state)
            lua_pushvalue(state, -2)
            lua_rawset(state, -4)
        }
        for function in module.functions { setField(Callable(function, .function), on: state) }
        for (name, value) in module.values {
            push(name, on: state)
            try pushOne(value, name.text)
            lua_rawset(state, -3)
        }
        if !module.name.isEmpty {
            luart_push_loaded(state)
            pushText(module.name, on: state)
            lua_pushvalue(state, -3)
            lua_rawset(state, -3)
        }
    }

    func setGlobal(_ name: String, _ value: LuaValue) throws {
        let top = lua_gettop(state)
        defer { lua_settop(state, top) }
        luart_push_globals(state)
        pushText(name, on: state)
        try pushOne(value, name)
        lua_rawset(state, -3)
    }

    func global(_ name: String) throws -> LuaValue {
        let top = lua_gettop(state)
        defer { lua_settop(state, top) }
        luart_push_globals(state)
        _ = step(into: name)
        var reader = ValueReader(self)
        do {
            return try reader.read(state, -1)
        } catch {
            throw LuaError(message: "\(name.quoted()) cannot be read: \(error.message)")
        }
    }

    private func pushOne(_ value: LuaValue, _ name: String) throws {
        do {
            try push([value], on: state)
        } catch {
            throw LuaError(message: "\(name.quoted()) cannot be set: \(error.message)")
        }
    }

    /// Pushes a field of the table on top of the stack; returns its type.
    private func step(into name: String) -> Int32 {
        pushText(name, on: state)
        return lua_rawget(state, -2)
    }

    // MARK: - Completion

    /// Whole expressions that begin with this one.
    func complete(_ expression: String) -> [String] {
        let top = lua_gettop(state)
        defer { lua_settop(state, top) }
        let end = expression.lastIndex { $0 == "." || $0 == ":" }
        let stem = end.map { expression[...$0] } ?? ""
        let beginning = end.map { expression[expression.index(after: $0)...] } ?? expression[...]
        let path =
            stem.isEmpty ? [] : stem.dropLast().split(omittingEmptySubsequences: false) { $0 == "." || $0 == ":" }
        guard path.count <= 32, lua_checkstack(state, 80) != 0 else { return [] }
        luart_push_globals(state)
        for name in path {
            guard lua_type(state, -1) == LUA_TTABLE else {
                guard let field = object(state, -1)?.type.fieldsByName[String(name)], let value = object(state, -1),
                    let result = try? field.read(value), (try? push([result], on: state)) != nil
                else { return [] }
                continue
            }
            _ = step(into: String(name))
        }
        return names(isMethodCall: stem.hasSuffix(":")).filter { $0.hasPrefix(beginning) }.sorted().map { stem + $0 }
    }

    /// The names in the value on top of the stack and in the tables that it inherits from.
    private func names(isMethodCall: Bool) -> Set<String> {
        if let type = object(state, -1)?.type {
            return Set(isMethodCall ? type.methods.map(\.name) : type.names)
        }
        var names: Set<String> = []
        for _ in 0..<16 {
            if lua_type(state, -1) == LUA_TTABLE { collectNames(&names, functionsOnly: isMethodCall) }
            guard lua_getmetatable(state, -1) != 0, step(into: "__index") == LUA_TTABLE else { break }
        }
        return names
    }

    private func collectNames(_ names: inout Set<String>, functionsOnly: Bool) {
        lua_pushnil(state)
        while lua_next(state, -2) != 0 {
            let isWanted = !functionsOnly || lua_type(state, -1) == LUA_TFUNCTION
            luart_pop(state, 1)
            guard isWanted, names.count < 10_000, let name = string(state, -1, atMost: 200)?.text else { continue }
            if Self.isIdentifier(name) { names.insert(name) }
        }
    }

    private static func isIdentifier(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return name.utf8.allSatisfy {
            $0 == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
        }
    }
}

import CLua
import CLuaShims

/// An object of a class, as Lua's userdata.
final class ObjectBox: Sendable {
    let object: LuaObject
    init(_ object: LuaObject) { self.object = object }
}

/// A Swift function that scripts can call.
final class Callable: Sendable {
    enum Role {
        case function
        /// Called with an object of this class.
        case method(LuaClass)
        /// Called by Lua, most often with an object.
        case metamethod
    }

    let function: LuaNative
    let role: Role

    init(_ function: LuaNative, _ role: Role) { (self.function, self.role) = (function, role) }
}

enum CopyLimits {
    /// Tables within tables.
    static let depth = 64
    /// Values within all tables of one call's arguments or results.
    static let elements = 1_000_000
}

/// Copies values out of Lua, within limits for all values of one reader.
struct ValueReader {
    private let interpreter: Interpreter
    private var elements = CopyLimits.elements
    private var bytes: Int
    /// The tables that the one being copied is in.
    private var path: [UnsafeRawPointer] = []

    init(_ interpreter: Interpreter) {
        self.interpreter = interpreter
        bytes = interpreter.thread.limits.memory
    }

    mutating func read(_ lua: OpaquePointer?, _ index: Int32) throws(LuaCallError) -> LuaValue {
        switch lua_type(lua, index) {
        case LUA_TNONE, LUA_TNIL: return .nil
        case LUA_TBOOLEAN: return .boolean(lua_toboolean(lua, index) != 0)
        case LUA_TNUMBER:
            return lua_isinteger(lua, index) != 0
                ? .integer(lua_tointegerx(lua, index, nil)) : .number(lua_tonumberx(lua, index, nil))
        case LUA_TSTRING: return .string(try readString(lua, index))
        case LUA_TTABLE:
            if luart_to_box(lua, index, Int32(LUART_BOX_ERROR)) != nil { return try readError(lua, index) }
            return .table(try readTable(lua, lua_absindex(lua, index)))
        case LUA_TFUNCTION:
            guard let reference = interpreter.reference(lua, index) else { throw LuaCallError("stack overflow") }
            return .function(LuaFunction(reference))
        case LUA_TUSERDATA:
            if let object = interpreter.object(lua, index) { return .object(object) }
            throw LuaCallError("a userdata of another library cannot be passed")
        case let type:
            throw LuaCallError("a \(String(cString: lua_typename(lua, type))) cannot be passed")
        }
    }

    private mutating func readString(_ lua: OpaquePointer?, _ index: Int32) throws(LuaCallError) -> LuaString {
        guard let string = interpreter.string(lua, index, atMost: bytes) else {
            throw LuaCallError("more than \(interpreter.thread.limits.memory) bytes cannot be passed")
        }
        bytes -= string.bytes.count
        return string
    }

    private mutating func readError(_ lua: OpaquePointer?, _ index: Int32) throws(LuaCallError) -> LuaValue {
        guard lua_checkstack(lua, 4) != 0 else { throw LuaCallError("stack overflow") }
        luart_push_error_text(lua, index)
        return try readTop(lua)
    }

    private mutating func readTable(_ lua: OpaquePointer?, _ index: Int32) throws(LuaCallError) -> LuaTable {
        guard let identity = lua_topointer(lua, index), !path.contains(identity) else {
            throw LuaCallError("a table that contains itself cannot be passed")
        }
        guard path.count < CopyLimits.depth, lua_checkstack(lua, 4) != 0 else {
            throw LuaCallError("tables more than \(CopyLimits.depth) deep cannot be passed")
        }
        path.append(identity)
        defer { path.removeLast() }
        var table = LuaTable()
        let count = lua_rawlen(lua, index)
        var place: lua_Unsigned = 1
        while place <= count {
            try take()
            lua_rawgeti(lua, index, lua_Integer(place))
            table.array.append(try readTop(lua))
            place += 1
        }
        lua_pushnil(lua)
        while lua_next(lua, index) != 0 {
            let key = lua_type(lua, -2)
            if key == LUA_TSTRING {
                do {
                    try take()
                    table.fields[try readString(lua, -2)] = try readTop(lua)
                } catch {
                    luart_pop(lua, 1)
                    throw error
                }
                continue
            }
            luart_pop(lua, 1)
            if key == LUA_TNUMBER, lua_isinteger(lua, -1) != 0,
                (1...max(1, Int64(clamping: count))).contains(lua_tointegerx(lua, -1, nil))
            {
                continue
            }
            let kind = key == LUA_TNUMBER ? "a number beyond its list" : "a \(String(cString: lua_typename(lua, key)))"
            luart_pop(lua, 1)
            throw LuaCallError("a table with \(kind) as a key cannot be passed: only lists and names")
        }
        return table
    }

    /// The value on top, which is popped.
    private mutating func readTop(_ lua: OpaquePointer?) throws(LuaCallError) -> LuaValue {
        defer { luart_pop(lua, 1) }
        return try read(lua, -1)
    }

    private mutating func take() throws(LuaCallError) {
        guard elements > 0 else {
            throw LuaCallError("more than \(CopyLimits.elements) values in tables cannot be passed")
        }
        elements -= 1
    }
}

extension Interpreter {
    /// The string at `index`; nil when there is none or it is longer.
    func string(_ lua: OpaquePointer?, _ index: Int32, atMost limit: Int = .max) -> LuaString? {
        var count = 0
        guard let start = luart_string(lua, index, &count), count <= limit else { return nil }
        return LuaString(Array(UnsafeRawBufferPointer(start: start, count: count)))
    }

    /// The Swift object at `index`; nil when there is none.
    func object(_ lua: OpaquePointer?, _ index: Int32) -> LuaObject? {
        luart_to_box(lua, index, Int32(LUART_BOX_OBJECT)).map {
            Unmanaged<ObjectBox>.fromOpaque($0).takeUnretainedValue().object
        }
    }

    /// Keeps the value at `index` for Swift; nil without room on the stack.
    func reference(_ lua: OpaquePointer?, _ index: Int32) -> LuaReference? {
        guard lua_checkstack(lua, 2) != 0 else { return nil }
        lua_pushvalue(lua, index)
        return LuaReference(luaL_ref(lua, luart_registry()), thread)
    }

    /// Pushes values onto a stack, all or none.
    func push(_ values: [LuaValue], on lua: OpaquePointer?) throws(LuaCallError) {
        guard lua_checkstack(lua, Int32(clamping: values.count + 4)) != 0 else {
            throw LuaCallError("too many values: \(values.count)")
        }
        var left = luart_left(lua)
        for value in values { try reserve(value, &left, depth: 0) }
        let top = lua_gettop(lua)
        do {
            for value in values { try push(value, on: lua) }
        } catch {
            lua_settop(lua, top)
            throw error
        }
    }

    /// Subtracts a value's size from the remaining memory.
    private func reserve(_ value: LuaValue, _ left: inout Int, depth: Int) throws(LuaCallError) {
        switch value {
        case .string(let string): left -= string.bytes.count + 32
        case .table(let table):
            guard depth < CopyLimits.depth else {
                throw LuaCallError("tables more than \(CopyLimits.depth) deep cannot be passed")
            }
            left -= 64
            for element in table.array {
                left -= 16
                try reserve(element, &left, depth: depth + 1)
            }
            for (name, element) in table.fields {
                left -= 80 + name.bytes.count
                try reserve(element, &left, depth: depth + 1)
            }
        case .object, .native: left -= 128
        case .nil, .boolean, .integer, .number, .function: break
        }
        if left < 0 { throw LuaCallError("not enough memory") }
    }

    /// Pushes a value; room and memory were checked.
    private func push(_ value: LuaValue, on lua: OpaquePointer?) throws(LuaCallError) {
        switch value {
        case .nil: lua_pushnil(lua)
        case .boolean(let value): lua_pushboolean(lua, value ? 1 : 0)
        case .integer(let value): lua_pushinteger(lua, value)
        case .number(let value): lua_pushnumber(lua, value)
        case .string(let string): push(string, on: lua)
        case .function(let function):
            guard function.thread === thread else {
                throw LuaCallError("a function of another state cannot be passed")
            }
            lua_rawgeti(lua, luart_registry(), lua_Integer(function.reference.number))
        case .native(let function): push(Callable(function, .function), on: lua)
        case .object(let object): push(object, on: lua)
        case .table(let table):
            guard lua_checkstack(lua, 4) != 0 else { throw LuaCallError("stack overflow") }
            lua_createtable(lua, Int32(clamping: table.array.count), Int32(clamping: table.fields.count))
            for (offset, element) in table.array.enumerated() {
                try push(element, on: lua)
                lua_rawseti(lua, -2, lua_Integer(offset + 1))
            }
            for (name, element) in table.fields {
                push(name, on: lua)
                try push(element, on: lua)
                lua_rawset(lua, -3)
            }
        }
    }

    func push(_ string: LuaString, on lua: OpaquePointer?) {
        string.bytes.withUnsafeBytes { bytes in
            _ = lua_pushlstring(lua, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
    }

    func pushText(_ text: String, on lua: OpaquePointer?) { push(LuaString(text), on: lua) }

    private func push(_ callable: Callable, on lua: OpaquePointer?) {
        luart_push_function(lua, Unmanaged.passRetained(callable).toOpaque(), callable.function.waits)
    }

    /// An object with the same class stays the same value as long as the script has it.
    private func push(_ object: LuaObject, on lua: OpaquePointer?) {
        guard lua_checkstack(lua, 6) != 0 else { return lua_pushnil(lua) }
        luart_push_registry_table(lua, Int32(LUART_TABLE_OBJECTS))
        let identity = UnsafeRawPointer(Unmanaged.passUnretained(object.object).toOpaque())
        lua_rawgetp(lua, -1, identity)
        let isKnown =
            luart_to_box(lua, -1, Int32(LUART_BOX_OBJECT)).map {
                Unmanaged<ObjectBox>.fromOpaque($0).takeUnretainedValue().object.type === object.type
            } ?? false
        if !isKnown {
            luart_pop(lua, 1)
            pushMetatable(of: object.type, on: lua)
            luart_push_object(lua, Unmanaged.passRetained(ObjectBox(object)).toOpaque())
            lua_pushvalue(lua, -1)
            lua_rawsetp(lua, -3, identity)
        }
        lua_rotate(lua, -2, 1)
        luart_pop(lua, 1)
    }

    /// Pushes a class's metatable, created at first use. The interpreter keeps the class, whose address is the key.
    private func pushMetatable(of type: LuaClass, on lua: OpaquePointer?) {
        luart_push_registry_table(lua, Int32(LUART_TABLE_CLASSES))
        let identity = UnsafeRawPointer(Unmanaged.passUnretained(type).toOpaque())
        if lua_rawgetp(lua, -1, identity) != LUA_TTABLE {
            luart_pop(lua, 1)
            classes.append(type)
            lua_createtable(lua, 0, 8)
            for function in type.metamethods { setField(Callable(function, .metamethod), on: lua) }
            lua_createtable(lua, 0, Int32(clamping: type.methods.count))
            for function in type.methods { setField(Callable(function, .method(type)), on: lua) }
            luart_complete_class(lua, type.name)
            lua_pushvalue(lua, -1)
            lua_rawsetp(lua, -3, identity)
        }
        lua_rotate(lua, -2, 1)
        luart_pop(lua, 1)
    }

    /// Sets a named function in the table on top of the stack.
    func setField(_ callable: Callable, on lua: OpaquePointer?) {
        pushText(callable.function.name, on: lua)
        push(callable, on: lua)
        lua_rawset(lua, -3)
    }
}

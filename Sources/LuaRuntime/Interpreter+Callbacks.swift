import CLua
import CLuaShims
import Diagnostics

/// C's callbacks while Lua runs. Each leaves results on the stack and returns their count, or an error and LUART_RAISE.
extension Interpreter {
    /// Fills in the functions; the owner is an unretained interpreter.
    static func fill(_ host: inout luart_host) {
        host.call = { owner, lua, function in
            Interpreter.at(owner)?.call(lua, Interpreter.callable(function)) ?? 0
        }
        host.begin = { owner, lua, function in
            Interpreter.at(owner)?.begin(lua, Interpreter.callable(function)) ?? 0
        }
        host.finish = { owner, lua in
            Interpreter.at(owner)?.finish(lua) ?? 0
        }
        host.discard = { owner in
            Interpreter.at(owner)?.strand?.pending = nil
        }
        host.field = { owner, lua, object in
            Interpreter.at(owner)?.field(lua, object) ?? 0
        }
        host.describe = { owner, lua, object in
            Interpreter.at(owner)?.describe(lua, object) ?? 0
        }
        host.locate = { owner, lua in
            Interpreter.at(owner)?.locate(lua) ?? 0
        }
        host.print = { owner, bytes, count in
            Interpreter.at(owner)?.print(LuaString(Array(UnsafeRawBufferPointer(start: bytes, count: count))))
        }
        host.release = { kind, object in
            guard let object else { return }
            switch kind {
            case Int32(LUART_BOX_FUNCTION): Unmanaged<Callable>.fromOpaque(object).release()
            case Int32(LUART_BOX_OBJECT): Unmanaged<ObjectBox>.fromOpaque(object).release()
            default: Unmanaged<ErrorBox>.fromOpaque(object).release()
            }
        }
    }

    private static func at(_ owner: UnsafeMutableRawPointer?) -> Interpreter? {
        owner.map { Unmanaged<Interpreter>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func callable(_ function: UnsafeMutableRawPointer?) -> Callable? {
        function.map { Unmanaged<Callable>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: - Functions

    private func call(_ lua: OpaquePointer?, _ callable: Callable?) -> Int32 {
        guard let callable, case .atOnce(let body) = callable.function.body else { return 0 }
        let frames = frames(of: lua, from: 1)
        do {
            let values = try body(try LuaCall(lua, callable, frames, self))
            try push(values, on: lua)
            return Int32(values.count)
        } catch {
            return raise(error, at: frames.lazy.compactMap(\.location).first, on: lua)
        }
    }

    private func begin(_ lua: OpaquePointer?, _ callable: Callable?) -> Int32 {
        guard let callable, case .waiting(let body) = callable.function.body else { return 0 }
        let frames = frames(of: lua, from: 1)
        do {
            strand?.pending = Request(body: body, call: try LuaCall(lua, callable, frames, self))
            return 0
        } catch {
            return raise(error, at: frames.lazy.compactMap(\.location).first, on: lua)
        }
    }

    private func finish(_ lua: OpaquePointer?) -> Int32 {
        guard let outcome = strand?.outcome else { return 0 }
        strand?.outcome = nil
        do {
            let values = try outcome.get()
            try push(values, on: lua)
            return Int32(values.count)
        } catch {
            return raise(error, at: frames(of: lua, from: 1).lazy.compactMap(\.location).first, on: lua)
        }
    }

    // MARK: - Objects

    private func field(_ lua: OpaquePointer?, _ object: UnsafeMutableRawPointer?) -> Int32 {
        guard let object else { return 0 }
        let value = Unmanaged<ObjectBox>.fromOpaque(object).takeUnretainedValue().object
        do {
            guard let name = string(lua, 2)?.text else { throw LuaCallError("a \(value.type.name) has no such field") }
            guard let field = value.type.fieldsByName[name] else {
                let remedy = didYouMean(name, value.type.names).map { " (\($0))" } ?? ""
                throw LuaCallError("a \(value.type.name) has no \(name.quoted())\(remedy)")
            }
            try push([try field.read(value)], on: lua)
            return 1
        } catch {
            return raise(error, at: frames(of: lua, from: 1).lazy.compactMap(\.location).first, on: lua)
        }
    }

    private func describe(_ lua: OpaquePointer?, _ object: UnsafeMutableRawPointer?) -> Int32 {
        guard let object else { return 0 }
        let value = Unmanaged<ObjectBox>.fromOpaque(object).takeUnretainedValue().object
        pushText(value.type.describe(value), on: lua)
        return 1
    }

    // MARK: - Modules

    private func locate(_ lua: OpaquePointer?) -> Int32 {
        let name = string(lua, 1)?.text ?? ""
        do throws(LuaCallError) {
            let (path, source) = try ModuleFolder.source(of: name, in: modules)
            guard source.count < luart_left(lua) else { throw LuaCallError("not enough memory") }
            chunkNames.insert(path)
            push(LuaString(source), on: lua)
            pushText("@" + path, on: lua)
            return 2
        } catch {
            pushText(error.message, on: lua)
            return Int32(LUART_ABSENT)
        }
    }
}

extension LuaCall {
    /// The current call: the arguments are the whole stack.
    fileprivate init(
        _ lua: OpaquePointer?, _ callable: Callable, _ frames: [LuaFrame], _ interpreter: Interpreter
    ) throws(LuaCallError) {
        let name = callable.function.name
        var reader = ValueReader(interpreter)
        var receiver: LuaObject?
        var first: Int32 = 1
        switch callable.role {
        case .function: break
        case .method(let type):
            receiver = interpreter.object(lua, 1)
            guard receiver?.type === type else {
                let found = lua_gettop(lua) < 1 ? "no value" : (try? reader.read(lua, 1))?.typeName ?? "another value"
                throw LuaCallError(
                    "calling '\(name)' on bad self (\(type.name) expected, got \(found)): is it called with a colon?")
            }
            first = 2
        case .metamethod:
            receiver = interpreter.object(lua, 1)
            if receiver != nil { first = 2 }
        }
        var arguments: [LuaValue] = []
        var index = first
        while index <= lua_gettop(lua) {
            do {
                arguments.append(try reader.read(lua, index))
            } catch {
                throw LuaCallError("bad argument #\(index - first + 1) to '\(name)' (\(error.message))")
            }
            index += 1
        }
        self.init(name: name, receiver: receiver, arguments: arguments, traceback: frames)
    }
}

/// A parameter, result or field, for documentation and editors. It checks nothing: the body does.
public struct LuaParameter: Sendable, Hashable {
    /// Its name; `...` for any further ones.
    public var name: String
    /// Its type as lua-language-server writes types: `string`, `integer?`, `fun(line: string): boolean`.
    public var type: String
    /// What it means.
    public var documentation: String

    /// A parameter.
    public init(_ name: String, _ type: String, _ documentation: String = "") {
        self.name = name
        self.type = type
        self.documentation = documentation
    }
}

/// A Swift function that scripts can call.
public final class LuaNative: Sendable {
    enum Body: Sendable {
        case atOnce(@Sendable (LuaCall) throws -> [LuaValue])
        case waiting(@Sendable (LuaCall) async throws -> [LuaValue])
    }

    /// Its name, which messages use.
    public let name: String
    /// One or more sentences.
    public let documentation: String
    /// What it takes, without the receiver of a method.
    public let parameters: [LuaParameter]
    /// What it returns.
    public let results: [LuaParameter]
    let body: Body

    /// A function that returns at once. Its body runs on the state's thread and must not block. It may throw errors into the
    /// script.
    public init(
        _ name: String, _ documentation: String = "", parameters: [LuaParameter] = [], results: [LuaParameter] = [],
        body: @escaping @Sendable (LuaCall) throws -> [LuaValue]
    ) {
        (self.name, self.documentation, self.parameters, self.results) = (name, documentation, parameters, results)
        self.body = .atOnce(body)
    }

    /// A function that may wait, while the state runs other scripts. Its body runs in the task of ``LuaState/run(source:name:)`` or
    /// ``LuaFunction/call(_:)``. Its errors are raised in the script, unless that task was cancelled meanwhile.
    public init(
        _ name: String, _ documentation: String = "", parameters: [LuaParameter] = [], results: [LuaParameter] = [],
        waiting body: @escaping @Sendable (LuaCall) async throws -> [LuaValue]
    ) {
        (self.name, self.documentation, self.parameters, self.results) = (name, documentation, parameters, results)
        self.body = .waiting(body)
    }

    /// Whether a script may have to wait for it.
    public var waits: Bool {
        if case .waiting = body { true } else { false }
    }
}

/// Functions and values under one name: a global table, which `require` knows too.
public struct LuaModule: Sendable {
    /// The global's name. With dots it is a nested table, whose parents are created if missing; an empty name means the globals.
    public var name: String
    /// What it is for.
    public var documentation: String
    /// Its functions, each under its own name.
    public var functions: [LuaNative]
    /// Its other fields.
    public var values: [LuaString: LuaValue]

    /// A module.
    public init(
        _ name: String, _ documentation: String = "", functions: [LuaNative] = [], values: [LuaString: LuaValue] = [:]
    ) {
        (self.name, self.documentation, self.functions, self.values) = (name, documentation, functions, values)
    }
}

/// A field of an object that scripts can read.
public struct LuaField: Sendable {
    /// Its name, type and meaning.
    public let parameter: LuaParameter
    let read: @Sendable (LuaObject) throws -> LuaValue

    /// A field that `read` computes each time, on the state's thread; it must not block.
    public init(
        _ name: String, _ type: String, _ documentation: String = "",
        read: @escaping @Sendable (LuaObject) throws -> LuaValue
    ) {
        parameter = LuaParameter(name, type, documentation)
        self.read = read
    }

    /// A field of objects of one Swift type.
    public init<Object: AnyObject & Sendable>(
        _ name: String, _ type: String, _ documentation: String = "", of: Object.Type,
        read: @escaping @Sendable (Object) throws -> LuaValue
    ) {
        self.init(name, type, documentation) { object in
            guard let object = object.object as? Object else {
                throw LuaCallError("'\(name)' belongs to another kind of \(object.type.name)")
            }
            return try read(object)
        }
    }
}

/// The operations of a kind of object.
public final class LuaClass: Sendable {
    /// The kind's name, as messages say it: "guest expected, got nil".
    public let name: String
    /// What such objects are.
    public let documentation: String
    /// Called with a colon: `object:method(…)`. The call's ``LuaCall/receiver`` is the object.
    public let methods: [LuaNative]
    /// Readable fields. Unknown names are an error that suggests the nearest known one.
    public let fields: [LuaField]
    /// Functions for Lua's events by name, such as `__close`, `__eq`, `__call`. The arguments are Lua's; the object is
    /// ``LuaCall/receiver`` when it is the first.
    public let metamethods: [LuaNative]
    let describe: @Sendable (LuaObject) -> String
    let fieldsByName: [String: LuaField]

    /// A class. `describe` is for `tostring`.
    public init(
        _ name: String, _ documentation: String = "", methods: [LuaNative] = [], fields: [LuaField] = [],
        metamethods: [LuaNative] = [], describe: (@Sendable (LuaObject) -> String)? = nil
    ) {
        (self.name, self.documentation, self.methods, self.fields) = (name, documentation, methods, fields)
        self.metamethods = metamethods.filter { !["__gc", "__index", "__newindex", "__name"].contains($0.name) }
        self.describe = describe ?? { _ in name }
        fieldsByName = Dictionary(fields.map { ($0.parameter.name, $0) }) { first, _ in first }
    }

    /// All names that a script can use on such an object.
    public var names: [String] { (methods.map(\.name) + fields.map(\.parameter.name)).sorted() }
}

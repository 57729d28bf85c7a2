// LuaRuntime: Lua 5.4 as a part of a Swift program. README.md beside this file says how it behaves; it knows no labs.

/// A value of Lua's as Swift sees it. Tables and strings are copies; functions and objects are references.
public enum LuaValue: Sendable {
    /// `nil`
    case `nil`
    /// `true` or `false`
    case boolean(Bool)
    /// A number of Lua's subtype integer.
    case integer(Int64)
    /// A number of Lua's subtype float.
    case number(Double)
    /// Bytes, most often UTF-8.
    case string(LuaString)
    /// A copy of a table.
    case table(LuaTable)
    /// A function of the script's.
    case function(LuaFunction)
    /// A Swift object.
    case object(LuaObject)
    /// A Swift function to hand to a script. Coming back from Lua it is a `function`.
    case native(LuaNative)

    /// A text as UTF-8.
    public static func text(_ text: String) -> LuaValue { .string(LuaString(text)) }

    /// Whether it is `nil`.
    public var isNil: Bool {
        if case .nil = self { true } else { false }
    }

    /// What Lua counts as true: all but `nil` and `false`.
    public var isTrue: Bool {
        switch self {
        case .nil, .boolean(false): false
        default: true
        }
    }

    /// The text of a string, nil for other values.
    public var text: String? {
        if case .string(let string) = self { string.text } else { nil }
    }

    /// The name of its type as a script knows it: for objects their class's name.
    public var typeName: String {
        switch self {
        case .nil: "nil"
        case .boolean: "boolean"
        case .integer, .number: "number"
        case .string: "string"
        case .table: "table"
        case .function, .native: "function"
        case .object(let object): object.type.name
        }
    }
}

extension LuaValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// `nil`
    public init(nilLiteral: ()) { self = .nil }
    /// A boolean.
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    /// An integer.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A float.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// A string.
    public init(stringLiteral value: String) { self = .text(value) }
    /// A table that is a list.
    public init(arrayLiteral elements: LuaValue...) { self = .table(LuaTable(array: elements)) }
    /// A table with named fields; of equal names the last counts.
    public init(dictionaryLiteral elements: (LuaString, LuaValue)...) {
        self = .table(LuaTable(fields: Dictionary(elements) { $1 }))
    }
}

extension LuaValue: Equatable {
    /// As Lua's `==`, except that tables are compared by content, and NaN equals itself.
    public static func == (left: LuaValue, right: LuaValue) -> Bool {
        switch (left, right) {
        case (.nil, .nil): true
        case (.boolean(let left), .boolean(let right)): left == right
        case (.integer(let left), .integer(let right)): left == right
        case (.number(let left), .number(let right)): left == right || left.isNaN && right.isNaN
        case (.integer(let left), .number(let right)): Double(left) == right && Int64(exactly: right) == left
        case (.number, .integer): right == left
        case (.string(let left), .string(let right)): left == right
        case (.table(let left), .table(let right)): left == right
        case (.function(let left), .function(let right)): left === right
        case (.object(let left), .object(let right)): left.object === right.object
        case (.native(let left), .native(let right)): left === right
        default: false
        }
    }
}

/// A string of Lua's: bytes.
public struct LuaString: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The bytes, which need not be UTF-8 and may contain zeros.
    public var bytes: [UInt8]

    /// A string of these bytes.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    /// A text as UTF-8.
    public init(_ text: String) { bytes = Array(text.utf8) }
    /// A text as UTF-8.
    public init(stringLiteral value: String) { self.init(value) }

    /// The bytes as UTF-8, with U+FFFD for what is not.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
    /// The text.
    public var description: String { text }
}

/// A copy of a table: the list at 1…n and the named fields. A table with other keys cannot be copied.
public struct LuaTable: Sendable, Equatable {
    /// The values at 1…n.
    public var array: [LuaValue]
    /// The values with string keys.
    public var fields: [LuaString: LuaValue]

    /// A table of these values.
    public init(array: [LuaValue] = [], fields: [LuaString: LuaValue] = [:]) {
        self.array = array
        self.fields = fields
    }

    /// The field of this name, `nil` when there is none. Setting `nil` removes it.
    public subscript(name: String) -> LuaValue {
        get { fields[LuaString(name)] ?? .nil }
        set {
            // `nil` in an expression beside a value would be Lua's, and stay as a field.
            if newValue.isNil {
                fields.removeValue(forKey: LuaString(name))
            } else {
                fields[LuaString(name)] = newValue
            }
        }
    }

    /// The names of the fields in the order of their text.
    public var names: [String] { fields.keys.map(\.text).sorted() }
}

/// A reference to a script's function, which lives as long as its last reference. Callable in its own state only; see ``call(_:)``.
public final class LuaFunction: Sendable {
    let reference: LuaReference
    var thread: LuaThread { reference.thread }

    init(_ reference: LuaReference) { self.reference = reference }
}

/// Keeps a script's value alive in its state.
final class LuaReference: Sendable {
    /// Its place in the state's registry.
    let number: Int32
    let thread: LuaThread

    init(_ number: Int32, _ thread: LuaThread) { (self.number, self.thread) = (number, thread) }

    deinit {
        let number = number
        thread.submit { $0.release(number) }
    }
}

/// A Swift object as scripts see it: an object and the class that defines its operations.
public struct LuaObject: Sendable {
    /// The object itself.
    public let object: any AnyObject & Sendable
    /// Its methods and fields.
    public let type: LuaClass

    /// An object of this class. A script sees the same value whenever it gets the same object with the same class.
    public init(_ object: any AnyObject & Sendable, _ type: LuaClass) {
        self.object = object
        self.type = type
    }
}

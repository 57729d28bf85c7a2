/// A script's call of a Swift function: the arguments, and where in the script it was made. Indexes count from 1 as in Lua; the
/// accessors throw Lua's own messages, such as "bad argument #1 to 'put' (string expected, got nil)".
public struct LuaCall: Sendable {
    /// The name of the called function.
    public let name: String
    /// The object whose method it is; a method called without one is rejected before.
    public let receiver: LuaObject?
    /// The arguments, without the receiver. Trailing `nil`s count.
    public let arguments: [LuaValue]
    /// The calls that led here, the innermost first; at most ``LuaError/maximumFrames``.
    public let traceback: [LuaFrame]

    /// Where in the script the call is: the innermost place that has a line.
    public var location: LuaLocation? { traceback.lazy.compactMap(\.location).first }

    /// The argument at `place`, `nil` when there are fewer.
    public subscript(place: Int) -> LuaValue {
        arguments.indices.contains(place - 1) ? arguments[place - 1] : .nil
    }

    /// Whether there is no such argument, or it is `nil`.
    public func isMissing(_ place: Int) -> Bool { self[place].isNil }

    /// The error that argument `place` is wrong: "bad argument #1 to 'put' (…)".
    public func badArgument(_ place: Int, _ problem: String) -> LuaCallError {
        LuaCallError("bad argument #\(place) to '\(name)' (\(problem))")
    }

    /// The error that argument `place` has another type than `expected`.
    public func wrongType(_ place: Int, expected: String) -> LuaCallError {
        let found = arguments.count < place ? "no value" : self[place].typeName
        return badArgument(place, "\(expected) expected, got \(found)")
    }

    /// The receiver as this Swift type.
    public func receiver<Object: AnyObject>(as: Object.Type = Object.self) throws(LuaCallError) -> Object {
        guard let object = receiver?.object as? Object else {
            throw LuaCallError("calling '\(name)' on bad self (call it with a colon)")
        }
        return object
    }

    /// A string's bytes, or a number's digits.
    public func bytes(_ place: Int) throws(LuaCallError) -> [UInt8] {
        switch self[place] {
        case .string(let string): return string.bytes
        case .integer(let value): return Array(String(value).utf8)
        case .number(let value): return Array(String(value).utf8)
        default: throw wrongType(place, expected: "string")
        }
    }

    /// A string as UTF-8, or a number's digits.
    public func string(_ place: Int) throws(LuaCallError) -> String {
        String(decoding: try bytes(place), as: UTF8.self)
    }

    /// An integer, or a float without a fraction.
    public func integer(_ place: Int) throws(LuaCallError) -> Int64 {
        switch self[place] {
        case .integer(let value): return value
        case .number(let value):
            guard let integer = Int64(exactly: value) else {
                throw badArgument(place, "number has no integer representation")
            }
            return integer
        default: throw wrongType(place, expected: "number")
        }
    }

    /// A table.
    public func table(_ place: Int) throws(LuaCallError) -> LuaTable {
        guard case .table(let value) = self[place] else { throw wrongType(place, expected: "table") }
        return value
    }

    /// A function.
    public func function(_ place: Int) throws(LuaCallError) -> LuaFunction {
        guard case .function(let value) = self[place] else { throw wrongType(place, expected: "function") }
        return value
    }

    /// An object of this Swift type; `expected` is the name of its class.
    public func object<Object: AnyObject>(
        _ place: Int, as: Object.Type = Object.self, expected: String
    ) throws(LuaCallError) -> Object {
        guard case .object(let value) = self[place], let object = value.object as? Object else {
            throw wrongType(place, expected: expected)
        }
        return object
    }

    /// `read` applied to an argument that may be missing: `try call.optional(2, call.integer)`.
    public func optional<Value>(
        _ place: Int, _ read: (Int) throws(LuaCallError) -> Value
    ) throws(LuaCallError) -> Value? {
        isMissing(place) ? nil : try read(place)
    }
}

/// Thrown by a body to raise a plain string in the script, after the call's place, as Lua's own functions do.
public struct LuaCallError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public var message: String

    /// An error that says this.
    public init(_ message: String) { self.message = message }

    /// The message.
    public var description: String { message }
}

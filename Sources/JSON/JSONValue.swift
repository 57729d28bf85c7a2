/// A JSON value (RFC 8259).
///
/// Of our own because of `vmlab-vmm`, one process per guest whose memory is a published figure of a few MiB: with
/// FoundationEssentials' decoder a program that reads one line of JSON is 21 MB instead of 9 and has 8.5 MiB resident
/// instead of 5.5 (Swift 6.3, statically linked). QMP and a machine's configuration need no more than this.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    /// A whole number written without fraction and exponent.
    case integer(Int64)
    /// Any other number, also whole ones beyond 64 bits. Always finite when parsed.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue {
    /// The value of a key; nil when there is none or this is no object.
    public subscript(_ key: String) -> JSONValue? { objectValue?[key] }

    /// The element at a place from 0; nil when there is none or this is no array.
    public subscript(_ index: Int) -> JSONValue? {
        guard let elements = arrayValue, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// The text, if this is a string.
    public var stringValue: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The number, if this is a whole one.
    public var integerValue: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// The number, if this is one.
    public var numberValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// True or false, if this is one of them.
    public var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The elements, if this is an array.
    public var arrayValue: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The members, if this is an object.
    public var objectValue: JSONObject? {
        if case .object(let members) = self { members } else { nil }
    }

    /// The object with a member more at its end, if the value is not nil; anything else unchanged.
    public func adding(_ key: String, _ value: JSONValue?) -> JSONValue {
        guard case .object(var object) = self, let value else { return self }
        object[key] = value
        return .object(object)
    }

    /// What kind of value this is, as messages say it: `a string`.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// A string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// True or false.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A number.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// An array.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// An object of these members, but for those whose value is nil; of a key that is written twice the last value counts.
    public init(dictionaryLiteral elements: (String, JSONValue?)...) { self = .object(JSONObject(elements)) }
}

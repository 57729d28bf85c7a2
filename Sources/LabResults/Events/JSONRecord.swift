import JSON

/// What one member of an object in `events.jsonl` and `results.json` can be.
protocol JSONPart {
    init?(_ json: JSONValue)
    var json: JSONValue { get }
}

/// A value with members, each named once for both writing and reading.
protocol JSONRecord: JSONPart {
    init()

    /// Writes or reads each member, in the order in which they are written.
    mutating func visit(_ members: inout JSONMembers) throws(JSONMismatch)
}

extension JSONRecord {
    /// Decodes the value. Throws when a member is missing or malformed.
    init(_ object: JSONObject) throws(JSONMismatch) {
        self.init()
        var members = JSONMembers(object, isReading: true)
        try visit(&members)
    }

    init?(_ json: JSONValue) {
        guard let object = json.objectValue, let value = try? Self(object) else { return nil }
        self = value
    }

    var members: JSONObject {
        var (copy, members) = (self, JSONMembers([:], isReading: false))
        // Only what is read can be wrong.
        try? copy.visit(&members)
        return members.object
    }

    var json: JSONValue { .object(members) }
}

/// A missing or malformed member.
struct JSONMismatch: Error, CustomStringConvertible {
    let key: String

    init(_ key: String) { self.key = key }

    var description: String { "`\(key)` is missing, or is not what it should be" }
}

/// The members of an object that is being written or read.
struct JSONMembers {
    private let isReading: Bool
    private(set) var object: JSONObject

    init(_ object: JSONObject, isReading: Bool) { (self.object, self.isReading) = (object, isReading) }

    mutating func callAsFunction<Part: JSONPart>(_ key: String, _ value: inout Part) throws(JSONMismatch) {
        if isReading { value = try object.value(key) } else { object[key] = value.json }
    }

    /// A member that is omitted when empty.
    mutating func callAsFunction<Part: JSONPart>(_ key: String, _ value: inout Part?) throws(JSONMismatch) {
        if isReading { value = object[key] == nil ? nil : try object.value(key) } else { object[key] = value?.json }
    }

    /// A member that is omitted when it is `usual`.
    mutating func callAsFunction<Part: JSONPart & Equatable>(
        _ key: String, _ value: inout Part, unless usual: Part
    ) throws(JSONMismatch) {
        var given = value == usual ? nil : value
        try self(key, &given)
        value = given ?? usual
    }
}

extension JSONObject {
    /// The value of a required member.
    func value<Part: JSONPart>(_ key: String) throws(JSONMismatch) -> Part {
        guard let value = self[key].flatMap({ Part($0) }) else { throw JSONMismatch(key) }
        return value
    }
}

extension String: JSONPart {
    init?(_ json: JSONValue) {
        guard let text = json.stringValue else { return nil }
        self = text
    }

    var json: JSONValue { .string(self) }
}

extension Bool: JSONPart {
    init?(_ json: JSONValue) {
        guard let value = json.boolValue else { return nil }
        self = value
    }

    var json: JSONValue { .bool(self) }
}

extension Double: JSONPart {
    /// NaN and infinities are written as null.
    init?(_ json: JSONValue) {
        guard let value = json == .null ? .nan : json.numberValue else { return nil }
        self = value
    }

    var json: JSONValue { .number(self) }
}

extension JSONPart where Self: FixedWidthInteger {
    init?(_ json: JSONValue) {
        guard let value = json.integerValue else { return nil }
        self.init(clamping: value)
    }

    var json: JSONValue { .integer(Int64(clamping: self)) }
}

extension Int: JSONPart {}
extension Int32: JSONPart {}
extension UInt64: JSONPart {}

extension JSONPart where Self: RawRepresentable, RawValue: JSONPart {
    init?(_ json: JSONValue) {
        guard let raw = RawValue(json) else { return nil }
        self.init(rawValue: raw)
    }

    var json: JSONValue { rawValue.json }
}

extension Array: JSONPart where Element: JSONPart {
    init?(_ json: JSONValue) {
        guard let elements = json.arrayValue else { return nil }
        self = elements.compactMap { Element($0) }
        if count < elements.count { return nil }
    }

    var json: JSONValue { .array(map(\.json)) }
}

extension Dictionary: JSONPart where Key == String, Value: JSONPart {
    init?(_ json: JSONValue) {
        guard let members = json.objectValue?.members else { return nil }
        self.init(members.compactMap { member in Value(member.value).map { (member.key, $0) } }) { $1 }
    }

    var json: JSONValue { .object(JSONObject(sorted { $0.key < $1.key }.map { ($0.key, $0.value.json) })) }
}

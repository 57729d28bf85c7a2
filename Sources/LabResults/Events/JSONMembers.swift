import JSON

/// A member that is missing, or is not what it should be.
struct JSONMismatch: Error {
    /// The member's key.
    let key: String

    init(_ key: String) { self.key = key }
}

extension JSONObject {
    private func member<Value>(_ key: String, _ value: Value?) throws(JSONMismatch) -> Value {
        guard let value else { throw JSONMismatch(key) }
        return value
    }

    func string(_ key: String) throws(JSONMismatch) -> String { try member(key, self[key]?.stringValue) }

    func bool(_ key: String) throws(JSONMismatch) -> Bool { try member(key, self[key]?.boolValue) }

    func int(_ key: String) throws(JSONMismatch) -> Int { Int(clamping: try member(key, self[key]?.integerValue)) }

    /// A number of bytes.
    func bytes(_ key: String) throws(JSONMismatch) -> UInt64 {
        UInt64(clamping: try member(key, self[key]?.integerValue))
    }

    /// Seconds as `JSONValue.seconds` makes them.
    func seconds(_ key: String) throws(JSONMismatch) -> Double {
        if case .null = self[key] { return .nan }
        return try member(key, self[key]?.numberValue)
    }

    /// One of an enumeration's words.
    func word<Word: RawRepresentable<String>>(_ key: String) throws(JSONMismatch) -> Word {
        try member(key, Word(rawValue: try string(key)))
    }

    func strings(_ key: String) throws(JSONMismatch) -> [String] {
        try member(key, self[key]?.arrayValue?.compactMap(\.stringValue))
    }

    /// The objects of an array; none where there is no such member.
    func objects(_ key: String) throws(JSONMismatch) -> [JSONObject] {
        guard let value = self[key] else { return [] }
        return try member(key, value.arrayValue?.compactMap(\.objectValue))
    }

    /// A command's exit status, where it ended by itself.
    var exit: Int32? { self["exit"]?.integerValue.map { Int32(truncatingIfNeeded: $0) } }
}

extension JSONValue {
    /// Seconds: microseconds are plenty, and 0.30000000000000004 is not for people.
    static func seconds(_ value: Double) -> JSONValue {
        .number(abs(value) < 1e9 ? (value * 1e6).rounded() / 1e6 : value)
    }

    static func strings(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
}

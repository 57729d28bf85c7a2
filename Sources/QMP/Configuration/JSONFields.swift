import Diagnostics
import JSON

/// The fields of a JSON object, read by name. Mistakes are collected, so that a user sees all at once.
struct JSONFields {
    /// Mistakes of a whole document, in the order found.
    final class Problems {
        private(set) var all: [Diagnostic] = []

        func add(_ path: String, _ message: String, remedy: String? = nil) {
            all.append(Diagnostic(.specification, "\(path): \(message)", remedy: remedy))
        }
    }

    /// Where the object is, such as `disks[0]`; empty for the document itself.
    let path: String
    let problems: Problems
    private let members: JSONObject

    /// The fields of an object whose keys are `known`. Another kind of value is a problem, and so is an unknown key.
    init?(_ value: JSONValue, at path: String, known: [String], _ problems: Problems) {
        guard case .object(let members) = value else {
            let place = path.isEmpty ? "the configuration" : path
            problems.add(place, "expected an object, not \(value.kind)")
            return nil
        }
        self.path = path
        self.members = members
        self.problems = problems
        for key in members.keys.sorted() where !known.contains(key) {
            let remedy = didYouMean(key, known) ?? "the keys are \(known.joined(separator: ", "))"
            problems.add(place(of: key.escapingControls()), "there is no such key", remedy: remedy)
        }
    }

    /// How messages name a key of this object.
    func place(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// Whether the key is there, with whatever value.
    func has(_ key: String) -> Bool { members[key] != nil }

    /// The raw value of a key; null counts as left out.
    func value(_ key: String) -> JSONValue? {
        let value = members[key]
        return value == .null ? nil : value
    }

    /// An optional field, read by `read`, which returns nil for a value of another kind.
    func optional<Value>(_ key: String, _ expected: String, _ read: (JSONValue) -> Value?) -> Value? {
        guard let value = value(key) else { return nil }
        if let result = read(value) { return result }
        problems.add(place(of: key), "expected \(expected), not \(value.kind)")
        return nil
    }

    func text(_ key: String) -> String? { optional(key, "a string", \.stringValue) }

    /// A required text; empty, with a problem noted, when it is missing.
    func requiredText(_ key: String) -> String {
        if value(key) == nil { problems.add(place(of: key), "is missing") }
        return text(key) ?? ""
    }

    /// True or false; `usual` when it is omitted.
    func truth(_ key: String, usual: Bool) -> Bool { optional(key, "true or false", \.boolValue) ?? usual }

    /// The elements of an optional array, each with its place.
    func elements(_ key: String) -> [(place: String, value: JSONValue)] {
        let elements = optional(key, "an array") { value -> [JSONValue]? in
            if case .array(let elements) = value { return elements }
            return nil
        }
        return (elements ?? []).enumerated().map { ("\(place(of: key))[\($0.offset)]", $0.element) }
    }
}

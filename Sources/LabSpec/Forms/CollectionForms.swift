import Diagnostics
import JSON

extension Form {
    /// A list, each element in the given form. An element that is wrong does not hide the others.
    static func list<Element>(of element: Form<Element>, allowEmpty: Bool = false) -> Form where Value == [Element] {
        var schema: JSONValue = ["type": "array", "items": element.schema]
        if !allowEmpty { schema = schema.adding("minItems", 1) }
        return Form(schema: schema, definitions: element.definitions, noun: "a list") { node, decoding in
            guard let elements = node.elements else {
                return decoding.wrongKind(
                    node, wanted: "a list", remedy: node.entries == nil ? nil : "start each value with `- `")
            }
            if elements.isEmpty, !allowEmpty {
                decoding.error(
                    "\(decoding.subject) is an empty list", remedy: "give it at least one element", at: node.span)
            }
            return elements.compactMap { node in decoding.element { element.decode(node, decoding) } }
        }
    }

    /// A list, or one element alone.
    static func listOrOne<Element>(of element: Form<Element>) -> Form where Value == [Element] {
        .byKind("\(element.noun), or a list of those", scalar: element.map { [$0] }, sequence: .list(of: element))
    }

    /// A value that may be written in several ways, told apart by the kind of node.
    static func byKind(_ noun: String, scalar: Form? = nil, sequence: Form? = nil, mapping: Form? = nil) -> Form {
        let forms = [scalar, sequence, mapping].compactMap { $0 }
        var definitions: [String: JSONValue] = [:]
        for form in forms { definitions.merge(form.definitions) { first, _ in first } }
        return Form(schema: ["anyOf": .array(forms.map(\.schema))], definitions: definitions, noun: noun) {
            node, decoding in
            let form =
                switch node.content {
                case .scalar: node.isNull ? nil : scalar
                case .sequence: sequence
                case .mapping: mapping
                }
            return form.map { $0.decode(node, decoding) } ?? decoding.wrongKind(node, wanted: noun)
        }
    }

    /// A map from names that the user chooses. `checkKey` reports keys it refuses; their values are still looked at.
    /// With `nullAs`, an entry without a value is that. `example` is one entry, for who writes something else than a map.
    static func dictionary<Entry>(
        of value: Form<Entry>, keys keyPattern: String, allowEmpty: Bool = false,
        nullAs: (@Sendable () -> Entry)? = nil, example: String? = nil,
        checkKey: @escaping @Sendable (String, SourceSpan, Decoding) -> Bool
    ) -> Form where Value == [Named<Entry>] {
        let valueSchema: JSONValue = nullAs == nil ? value.schema : ["anyOf": [value.schema, ["type": "null"]]]
        var schema: JSONValue = [
            "type": "object", "additionalProperties": valueSchema, "propertyNames": ["pattern": .string(keyPattern)],
        ]
        if !allowEmpty { schema = schema.adding("minProperties", 1) }
        return Form(schema: schema, definitions: value.definitions, noun: "a map") { node, decoding in
            guard let entries = node.entries else {
                let remedy = node.elements == nil ? nil : "write `name: …` instead of `- …`"
                return decoding.wrongKind(
                    node, wanted: "a map", remedy: example.map { "write it as `\($0)`" } ?? remedy)
            }
            if entries.isEmpty, !allowEmpty {
                decoding.error(
                    "\(decoding.subject) is an empty map", remedy: "give it at least one element", at: node.span)
            }
            var seen: Set<String> = []
            return entries.compactMap { entry -> Named<Entry>? in
                // The text has no duplicate keys, but values of the matrix may make two equal.
                if !seen.insert(entry.key).inserted {
                    decoding.error(
                        "the key \(entry.key.quoted()) is given twice", remedy: "keep one", at: entry.keySpan)
                }
                let isKeyGood = entry.key.hasExpression || checkKey(entry.key, entry.keySpan, decoding)
                let decoded = decoding.under(entry.key) {
                    if let nullAs, entry.value.isNull { return nullAs() as Entry? }
                    return value.decode(entry.value, decoding)
                }
                guard isKeyGood, let decoded else { return nil }
                return Named(name: entry.key, nameSpan: entry.keySpan, value: decoded)
            }
        }
    }
}

/// An entry of a map whose keys the user chooses.
struct Named<Value> {
    var name: String
    var nameSpan: SourceSpan
    var value: Value
}

extension Named: Sendable where Value: Sendable {}

import Diagnostics
import JSON
import YAMLTree

extension String {
    /// Whether it is a key of the author's own, `x-…`, as in Compose files: for anchors, and for other tools.
    var isAuthorsOwn: Bool { hasPrefix("x-") }
}

/// The result of decoding a map with known keys, before it is checked: everything may be missing.
protocol Draft: Sendable {
    init()
    /// Where the map is and what it says.
    var place: Place { get set }
}

/// Where a map is written, and its keys' values.
struct Place: Sendable {
    /// The beginning of the map.
    var span: SourceSpan?
    /// Where each known key's value is; a key is here even when its value was refused.
    var keys: [String: SourceSpan] = [:]
    /// Misspelt keys with the probably intended ones.
    var misspelt: [String: SourceSpan] = [:]

    /// Whether a key is there, well spelt or not.
    func says(_ key: String) -> Bool { keys[key] != nil || misspelt[key] != nil }
}

/// A map with known keys: the one declaration for decoding, "did you mean" and the schema.
struct Shape<Value: Draft>: Sendable {
    /// Its name among the schema's definitions.
    let id: String
    /// What messages call it: "a task".
    let noun: String
    let doc: String
    let fields: [Field<Value>]
    /// Of each set of keys at most one may be given.
    var exclusive: [[String]] = []
    /// Of these keys at least one must be given.
    var atLeastOne: [String] = []

    /// The form of such a map. With `orNull`, nothing written is an empty map.
    func form(orNull: Bool = false) -> Form<Value> {
        var definitions: [String: JSONValue] = [id: schema]
        for field in fields { definitions.merge(field.definitions) { first, _ in first } }
        let reference: JSONValue = ["$ref": .string("#/$defs/\(id)")]
        return Form(
            schema: orNull ? ["anyOf": [reference, ["type": "null"]]] : reference, definitions: definitions, noun: noun
        ) { node, decoding in
            decode(node, decoding, orNull: orNull)
        }
    }

    private func decode(_ node: YAMLNode, _ decoding: Decoding, orNull: Bool) -> Value? {
        var draft = Value()
        guard let entries = node.entries ?? (orNull && node.isNull ? [] : nil) else {
            let names = fields.prefix(3).map { "`\($0.name)`" }.joined(separator: ", ")
            let word = node.scalar?.text.prefix { $0 != ":" }
            let isKey = word.map { word in fields.contains { $0.name == word } } ?? false
            return decoding.wrongKind(
                node, wanted: "a map with keys such as \(names)",
                remedy: isKey && word != node.scalar?.text[...] ? "put a space after the `:`" : nil)
        }
        draft.place.span = entries.first { !$0.key.isAuthorsOwn }?.keySpan ?? node.span
        var given: [String: SourceSpan] = [:]
        for entry in entries where !entry.key.isAuthorsOwn {
            guard let field = fields.first(where: { $0.name == entry.key }) else {
                let meant = decoding.closest(to: entry.key, in: fields.map(\.name))
                let all = "it has \(fields.map(\.name).joined(separator: ", "))"
                decoding.error(
                    "\(noun) has no key \(entry.key.quoted())",
                    remedy: meant.map { "did you mean \($0.quoted())?" } ?? all,
                    at: entry.keySpan)
                // A misspelt key is not also reported as missing.
                if let meant { draft.place.misspelt[meant] = entry.keySpan }
                continue
            }
            given[field.name] = entry.keySpan
            draft.place.keys[field.name] = entry.value.span
            decoding.under(field.name) { field.decode(entry.value, decoding, &draft) }
        }
        checkPresence(given, misspelt: draft.place.misspelt, draft.place.span, decoding)
        return draft
    }

    /// Reports keys that are missing or exclude each other.
    private func checkPresence(
        _ given: [String: SourceSpan], misspelt: [String: SourceSpan], _ span: SourceSpan?, _ decoding: Decoding
    ) {
        for field in fields where given[field.name] == nil && misspelt[field.name] == nil {
            guard let example = field.required else { continue }
            decoding.error("\(noun) needs the key `\(field.name)`", remedy: "add `\(example)`", at: span)
        }
        for names in exclusive {
            let present = names.compactMap { name in given[name].map { (name: name, span: $0) } }
                .sorted { $0.span.start < $1.span.start }
            guard present.count > 1, let last = present.last else { continue }
            decoding.error(
                "\(noun) takes only one of " + present.map { "`\($0.name)`" }.joined(separator: " and "),
                remedy: "keep one", at: last.span)
        }
        if !atLeastOne.isEmpty, !atLeastOne.contains(where: { given[$0] != nil || misspelt[$0] != nil }) {
            decoding.error("\(noun) needs one of " + atLeastOne.map { "`\($0)`" }.joined(separator: ", "), at: span)
        }
    }

    private var schema: JSONValue {
        let properties = fields.map { field in
            (field.name, field.schema.adding("description", .string(field.doc)).adding("default", field.standard))
        }
        var schema: JSONValue = [
            "type": "object", "description": .string(doc), "properties": .object(JSONObject(properties)),
            "patternProperties": ["^x-": [:]], "additionalProperties": false,
        ]
        let required = fields.filter { $0.required != nil }
        if !required.isEmpty { schema = schema.adding("required", .array(required.map { .string($0.name) })) }
        let pairs = exclusive.flatMap { names in
            names.indices.flatMap { first in names[(first + 1)...].map { (names[first], $0) } }
        }
        if !pairs.isEmpty {
            schema = schema.adding("allOf", .array(pairs.map { ["not": ["required": [.string($0), .string($1)]]] }))
        }
        if !atLeastOne.isEmpty {
            schema = schema.adding("anyOf", .array(atLeastOne.map { ["required": [.string($0)]] }))
        }
        return schema
    }
}

/// One key of a shape.
struct Field<Value: Draft>: Sendable {
    let name: String
    /// What to add when it is missing (`image: debian`); nil when it may be left out.
    let required: String?
    /// A sentence for users.
    let doc: String
    /// Its default, for the schema.
    let standard: JSONValue?
    let schema: JSONValue
    let definitions: [String: JSONValue]
    let decode: @Sendable (YAMLNode, Decoding, inout Value) -> Void
    /// Takes another draft's value where there is none.
    let fill: @Sendable (inout Value, Value) -> Void

    /// The key `name`, decoded by `form` into the draft's `target`.
    init<Part>(
        _ name: String, _ target: any WritableKeyPath<Value, Part?> & Sendable, _ form: Form<Part>,
        required: String? = nil,
        standard: JSONValue? = nil, _ doc: String
    ) {
        self.name = name
        self.required = required
        self.doc = doc
        self.standard = standard
        schema = form.schema
        definitions = form.definitions
        decode = { node, decoding, draft in draft[keyPath: target] = form.decode(node, decoding) }
        fill = { draft, other in draft[keyPath: target] = draft[keyPath: target] ?? other[keyPath: target] }
    }
}

import Diagnostics
import JSON
import YAMLTree

/// How a value of the lab language is written: one declaration decodes it and describes it in the JSON Schema.
struct Form<Value>: Sendable {
    /// Its JSON schema.
    var schema: JSONValue
    /// Schemas that `schema` refers to by `#/$defs/…`.
    var definitions: [String: JSONValue] = [:]
    /// The expected value in messages: "a size such as `512MiB`".
    var noun: String
    /// The value of a node; nil when it has none or awaits a matrix value that was not found, which was reported.
    var decode: @Sendable (YAMLNode, Decoding) -> Value?

    /// The same form with its value made into another.
    func map<Other>(_ transform: @escaping @Sendable (Value) -> Other) -> Form<Other> {
        let decode = decode
        return Form<Other>(schema: schema, definitions: definitions, noun: noun) { node, decoding in
            decode(node, decoding).map(transform)
        }
    }

    /// The same form with a check or a change that may report.
    func then<Other>(_ transform: @escaping @Sendable (Value, YAMLNode, Decoding) -> Other?) -> Form<Other> {
        let decode = decode
        return Form<Other>(schema: schema, definitions: definitions, noun: noun) { node, decoding in
            decode(node, decoding).flatMap { transform($0, node, decoding) }
        }
    }

    /// The same form for a draft of which `key` alone is written.
    func alone<Whole: Draft>(_ key: any WritableKeyPath<Whole, Value?> & Sendable) -> Form<Whole> {
        map { value in
            var draft = Whole()
            draft[keyPath: key] = value
            return draft
        }
    }

    /// The same form, keeping the place.
    var located: Form<Located<Value>> {
        let decode = decode
        return Form<Located<Value>>(schema: schema, definitions: definitions, noun: noun) { node, decoding in
            decode(node, decoding).map { Located($0, at: node.span) }
        }
    }
}

/// A value and where it is written.
struct Located<Value> {
    var value: Value
    var span: SourceSpan

    init(_ value: Value, at span: SourceSpan) {
        self.value = value
        self.span = span
    }
}

extension Located: Sendable where Value: Sendable {}

/// The state of one decoding: the diagnostics, and the position in the tree.
final class Decoding {
    /// The diagnostics, in the order of their detection.
    private(set) var diagnostics: [Diagnostic] = []
    /// The keys from the root to the value at hand, for messages.
    private var path: [String] = []

    /// Whether there are so many mistakes that guesses of what was meant, and where exactly, take longer than they help.
    private var isOverwhelmed: Bool { diagnostics.count > 200 }

    /// "did you mean …?", while mistakes are few.
    func didYouMean(_ word: String, _ candidates: some Sequence<String>) -> String? {
        isOverwhelmed ? nil : Diagnostics.didYouMean(word, candidates)
    }

    /// The candidate that was meant, while mistakes are few.
    func closest(to word: String, in candidates: some Sequence<String>) -> String? {
        isOverwhelmed ? nil : Diagnostics.closest(to: word, in: candidates)
    }

    /// Where `text` first stands within a span, while mistakes are few.
    func place(of text: some StringProtocol, in span: SourceSpan) -> SourceSpan {
        isOverwhelmed ? span : span.locating(String(text))
    }

    func report(_ diagnostic: Diagnostic) {
        diagnostics.append(diagnostic)
    }

    var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }

    func error(_ message: String, remedy: String? = nil, cause: String? = nil, at span: SourceSpan?) {
        diagnostics.append(Diagnostic(.specification, message, remedy: remedy, cause: cause, at: span))
    }

    /// Reports an error in the current value, and returns nil for it.
    func refuse<Value>(_ message: String, remedy: String? = nil, at span: SourceSpan?) -> Value? {
        error(message, remedy: remedy, at: span)
        return nil
    }

    /// Reports something that is allowed but probably not meant.
    func warning(_ message: String, remedy: String? = nil, at span: SourceSpan?) {
        diagnostics.append(Diagnostic(.specification, message, severity: .warning, remedy: remedy, at: span))
    }

    /// Whether the value at hand is an element of the list under the last key.
    private var isElement = false

    /// The value at hand as messages name it.
    var subject: String {
        guard let key = path.last else { return "the lab" }
        return isElement ? "a value of \(key.quoted())" : key.quoted()
    }

    /// Reports that the value at hand is of the wrong kind; returns nil for it.
    func wrongKind<Value>(_ node: YAMLNode, wanted noun: String, remedy: String? = nil) -> Value? {
        if node.isNull { return refuse("\(subject) is empty", remedy: "write \(noun), or leave it out", at: node.span) }
        return refuse("\(subject) must be \(noun), not \(node.kind)", remedy: remedy, at: node.span)
    }

    func under<Value>(_ key: String, _ body: () -> Value) -> Value {
        let wasElement = isElement
        path.append(key)
        isElement = false
        defer {
            path.removeLast()
            isElement = wasElement
        }
        return body()
    }

    func element<Value>(_ body: () -> Value) -> Value {
        let wasElement = isElement
        isElement = true
        defer { isElement = wasElement }
        return body()
    }
}

extension YAMLNode {
    /// Its name in messages.
    var kind: String {
        switch content {
        case .scalar(let scalar): isNull ? "empty" : scalar.text.quoted()
        case .sequence: "a list"
        case .mapping: "a map"
        }
    }

    /// Whether it is a text with a `${{ … }}` that could not be filled in, which was reported.
    var isUnresolved: Bool { scalar?.text.hasExpression ?? false }
}

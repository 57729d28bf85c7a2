import Diagnostics

/// A value of a YAML text, with its place. Untyped: `on`, `5` and `yes` are texts until a type is requested.
public struct YAMLNode: Sendable {
    /// What the value is made of.
    public enum Content: Sendable {
        case scalar(YAMLScalar)
        case sequence([YAMLNode])
        /// In the order of the text; keys are unique.
        case mapping([YAMLEntry])
    }

    /// What the value is made of.
    public var content: Content
    /// Where it is written; for an alias, where its anchor is.
    public var span: SourceSpan

    /// A node as given.
    public init(_ content: Content, at span: SourceSpan) {
        self.content = content
        self.span = span
    }

    /// The scalar, if it is one.
    public var scalar: YAMLScalar? {
        if case .scalar(let scalar) = content { scalar } else { nil }
    }

    /// The elements, if it is a sequence.
    public var elements: [YAMLNode]? {
        if case .sequence(let elements) = content { elements } else { nil }
    }

    /// The entries, if it is a mapping.
    public var entries: [YAMLEntry]? {
        if case .mapping(let entries) = content { entries } else { nil }
    }

    /// Whether nothing is written: a plain scalar that is empty, `~` or `null`.
    public var isNull: Bool {
        guard let scalar, scalar.isPlain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.text)
    }

    /// The value of a key, if it is a mapping that has it.
    public subscript(key: String) -> YAMLNode? {
        entries?.first { $0.key == key }?.value
    }
}

/// A scalar as written.
public struct YAMLScalar: Sendable, Hashable {
    /// How it is written.
    public enum Style: Sendable, Hashable {
        case plain, singleQuoted, doubleQuoted, literal, folded
    }

    /// The text after unquoting and folding.
    public var text: String
    /// How it is written; `!!str` counts as quoted.
    public var style: Style

    /// A scalar as given.
    public init(_ text: String, style: Style = .plain) {
        self.text = text
        self.style = style
    }

    /// Whether it is written without quotes or a block sign, so that it may mean a number, a truth value or nothing.
    public var isPlain: Bool { style == .plain }

    /// Whether it is written behind a block sign, `|` or `>`.
    public var isBlock: Bool { style == .literal || style == .folded }
}

/// A key with its value.
public struct YAMLEntry: Sendable {
    /// The key's text; keys are always texts (`on` is "on").
    public var key: String
    /// Where the key is written.
    public var keySpan: SourceSpan
    /// Its value.
    public var value: YAMLNode

    /// An entry as given.
    public init(key: String, keySpan: SourceSpan, value: YAMLNode) {
        self.key = key
        self.keySpan = keySpan
        self.value = value
    }
}

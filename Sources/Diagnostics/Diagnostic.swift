// Diagnostics: how any failure is said, with its place in a source, and how that looks in a terminal.

/// How any failure is said: what went wrong, the remedy, the cause beneath it and the place in the source.
///
/// A diagnostic is both a value to collect (a lab with twelve mistakes has twelve) and an `Error` to throw.
public struct Diagnostic: Error, Sendable, Hashable {
    /// How grave it is. Only `error` makes a lab invalid.
    public enum Severity: String, Sendable, Hashable {
        case error, warning
    }

    /// Whose fault it is, which decides the exit status of the command.
    public enum Category: String, Sendable, Hashable {
        /// The lab or the command line is wrong (exit 2).
        case specification
        /// This host lacks something or refused something (exit 3).
        case host
        /// An image could not be built or read (exit 3).
        case image
        /// A guest did not boot, died or stopped answering (exit 3).
        case guest
    }

    /// How grave it is.
    public var severity: Severity
    /// Whose fault it is.
    public var category: Category
    /// What went wrong, one sentence without a final stop.
    public var message: String
    /// What the user can do about it.
    public var remedy: String?
    /// The failure beneath this one, in its own words.
    public var cause: String?
    /// Where in the lab or script.
    public var span: SourceSpan?
    /// Further lines worth showing, such as a guest's last console lines.
    public var notes: [String]

    /// A diagnostic, an error unless told otherwise.
    public init(
        _ category: Category, _ message: String, severity: Severity = .error, remedy: String? = nil,
        cause: String? = nil, at span: SourceSpan? = nil, notes: [String] = []
    ) {
        self.severity = severity
        self.category = category
        self.message = message
        self.remedy = remedy
        self.cause = cause
        self.span = span
        self.notes = notes
    }

    /// On one line: what went wrong, and the cause.
    public var line: String { message + (cause.map { ": \($0)" } ?? "") }

    /// The same, and the remedy.
    public var lineWithRemedy: String { line + (remedy.map { " (\($0))" } ?? "") }

    /// The same, said of this place.
    public func placed(at span: SourceSpan?) -> Diagnostic {
        var placed = self
        placed.span = span
        return placed
    }
}

/// Several diagnostics thrown at once: all of a lab's mistakes in one pass.
public struct DiagnosticList: Error, Sendable {
    /// In reading order of their places.
    public var all: [Diagnostic]

    /// A list as given.
    public init(_ all: [Diagnostic]) {
        self.all = all
    }

    /// The first few on one line, in reading order, and how many more there are.
    public var line: String {
        let (shown, rest) = (sorted.prefix(10), sorted.dropFirst(10))
        return (shown.map(\.lineWithRemedy) + (rest.isEmpty ? [] : ["and \(rest.count) more"])).joined(separator: "; ")
    }

    /// Whether any of them makes the input unusable.
    public var hasErrors: Bool { all.contains { $0.severity == .error } }
}

/// A regular expression in the syntax of Perl (PCRE2), compiled once. Texts are Unicode: `\d`, `\w`, `\s`, `\b` and `(?i)` know all
/// scripts, `.` is one scalar, and lines end as in Unicode. Equal texts with equal anchors are equal patterns.
public struct Pattern: Sendable, Hashable {
    /// What `^` and `$` match at.
    public enum Anchors: Sendable, Hashable {
        /// Each line's start and end.
        case lines
        /// The whole text's start and end: `$` does not match before a last line end.
        case text
    }

    /// The expression as written.
    public let text: String
    /// What `^` and `$` match at.
    public let anchors: Anchors
    let code: PatternCode

    /// Compiles an expression. Throws what is wrong with it, and where.
    public init(_ text: String, anchors: Anchors = .lines) throws(PatternProblem) {
        self.text = text
        self.anchors = anchors
        code = try PatternCode(text, anchors)
    }

    /// Whether both are written alike.
    public static func == (one: Pattern, other: Pattern) -> Bool {
        one.text == other.text && one.anchors == other.anchors
    }

    /// Hashes what is written.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(text)
        hasher.combine(anchors)
    }
}

/// Why a text is no regular expression.
public struct PatternProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong, in PCRE2's words.
    public var reason: String
    /// The number of characters (Unicode scalars) before the error.
    public var offset: Int

    /// Both in a few words.
    public var description: String { offset == 0 ? reason : "\(reason), at character \(offset + 1)" }
}

/// Why a search has no result.
public enum PatternFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// Its time was up first.
    case tooSlow(pattern: String)
    /// It needs more memory than a search may have.
    case tooLarge(pattern: String)
    /// It was stopped by its `SearchStop`.
    case stopped

    /// In a sentence.
    public var description: String {
        switch self {
        case .tooSlow(let pattern):
            "the pattern /\(pattern)/ took too long: write it with fewer ways to match, without nested repeats"
        case .tooLarge(let pattern):
            "the pattern /\(pattern)/ needs more than \(Matcher.memory >> 20) MiB for this text: "
                + "write it so that it repeats single characters, `[^x]*` for `(a|b)*`"
        case .stopped: "the search was stopped"
        }
    }
}

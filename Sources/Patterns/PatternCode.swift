import CPCRE2

/// PCRE2's compiled expression, twice: the fast form runs to its end or the backtracking limit; the careful form can be stopped at
/// any step, at a third of the speed. Both are immutable, and any number of threads may search with them.
final class PatternCode: Sendable {
    nonisolated(unsafe) let fast: OpaquePointer
    nonisolated(unsafe) let careful: OpaquePointer
    /// The number of bytes before a place that decide whether the pattern matches there.
    let context: Int

    /// Characters of an expression: more is a mistake.
    private static let longest = 10_000

    init(_ text: String, _ anchors: Pattern.Anchors) throws(PatternProblem) {
        guard text.utf8.count <= Self.longest else {
            throw PatternProblem(reason: "it is longer than \(Self.longest) bytes", offset: 0)
        }
        if let problem = Ambiguity.problem(in: text) { throw problem }
        fast = try Self.compile(text, anchors, PCRE2_USE_OFFSET_LIMIT)
        do throws(PatternProblem) {
            careful = try Self.compile(text, anchors, PCRE2_AUTO_CALLOUT)
        } catch {
            pcre2_code_free_8(fast)
            throw error
        }
        var lookbehind: UInt32 = 0
        pcre2_pattern_info_8(fast, UInt32(PCRE2_INFO_MAXLOOKBEHIND), &lookbehind)
        // `^` and `\b` look at one character, which has up to four bytes.
        context = 4 * max(Int(lookbehind), 1)
    }

    deinit {
        pcre2_code_free_8(fast)
        pcre2_code_free_8(careful)
    }

    private static func compile(
        _ text: String, _ anchors: Pattern.Anchors, _ form: UInt32
    ) throws(PatternProblem) -> OpaquePointer {
        let context = pcre2_compile_context_create_8(nil)
        defer { pcre2_compile_context_free_8(context) }
        pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_ANY))
        // `\C` would split characters.
        var options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | form
        options |= anchors == .lines ? PCRE2_MULTILINE : PCRE2_DOLLAR_ENDONLY
        var error: Int32 = 0
        var offset = 0
        let bytes = Array(text.utf8)
        guard let code = pcre2_compile_8(bytes, bytes.count, options, &error, &offset, context) else {
            let before = String(decoding: bytes.prefix(offset), as: UTF8.self)
            throw PatternProblem(reason: reason(of: error), offset: before.unicodeScalars.count)
        }
        // Where the host forbids generated code, PCRE2 interprets.
        pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_SOFT | PCRE2_JIT_PARTIAL_HARD)
        return code
    }

    private static func reason(of error: Int32) -> String {
        var text = [UInt8](repeating: 0, count: 256)
        pcre2_get_error_message_8(error, &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
    }
}

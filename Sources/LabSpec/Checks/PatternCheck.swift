/// Whether a text compiles as a `Regex`.
enum PatternCheck {
    /// What is wrong with it, in a few words, or nil when it compiles.
    ///
    /// Length and nesting are bounded first: the compiler of regular expressions calls itself for each parenthesis.
    static func problem(_ text: String) -> String? {
        guard text.count <= Limits.pattern.length else {
            return "it is longer than \(Limits.pattern.length) characters"
        }
        guard text.count(where: { $0 == "(" || $0 == "[" }) <= Limits.pattern.groups else {
            return "it has more than \(Limits.pattern.groups) parentheses and brackets"
        }
        do {
            // The first match compiles what the initializer has only parsed.
            _ = try Regex(text).anchorsMatchLineEndings().firstMatch(in: "")
            return nil
        } catch {
            return "\(error)"
        }
    }
}

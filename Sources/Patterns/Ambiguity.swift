/// Text that PCRE2 takes literally and other kinds of expressions do not: its author means something else.
enum Ambiguity {
    /// The first such place in an expression.
    static func problem(in text: String) -> PatternProblem? {
        let scalars = Array(text.unicodeScalars)
        var isInClass = false
        var index = 0
        while index < scalars.count {
            let rest = scalars[index...]
            if rest.first == "\\" {
                // Escaped characters are literal; so is everything between \Q and \E.
                index = rest.starts(with: "\\Q".unicodeScalars) ? endOfQuote(index, in: scalars) : index + 2
                continue
            }
            if isInClass, let sign = ["&&", "~~"].first(where: { rest.starts(with: $0.unicodeScalars) }) {
                return PatternProblem(
                    reason:
                        "`\(sign)` in brackets is not a set operation here: write `(?![b])[a]` for what is in a and not in b",
                    offset: index)
            }
            if !isInClass, let most = digits(behind: "{,", in: rest) {
                return PatternProblem(reason: "`{,\(most)}` is not a count here: write `{0,\(most)}`", offset: index)
            }
            if rest.first == "[" { isInClass = true }
            if rest.first == "]" { isInClass = false }
            index += 1
        }
        return nil
    }

    private static func endOfQuote(_ start: Int, in scalars: [Unicode.Scalar]) -> Int {
        var index = start + 2
        while index < scalars.count, !scalars[index...].starts(with: "\\E".unicodeScalars) { index += 1 }
        return index + 2
    }

    /// The digits of `{,12}`.
    private static func digits(behind start: String, in rest: ArraySlice<Unicode.Scalar>) -> String? {
        guard rest.starts(with: start.unicodeScalars) else { return nil }
        let digits = rest.dropFirst(2).prefix { ("0"..."9").contains($0) }
        guard !digits.isEmpty, rest.dropFirst(2 + digits.count).first == "}" else { return nil }
        var text = ""
        text.unicodeScalars.append(contentsOf: digits)
        return text
    }
}

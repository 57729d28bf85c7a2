import LabSpec

extension Expectation {
    /// Output beyond this is not searched for patterns: a regular expression over more would take for ever.
    static let searchLimit = 16 << 20

    /// Why the command did not meet the expectation, one line; nil when it did. `output` is asked for only when it counts.
    func disappointment(exit status: Int32, output: () throws -> [UInt8]) rethrows -> String? {
        if !exit.contains(status) {
            let wanted = exit.map(String.init).joined(separator: " or ")
            return "exit status \(status), expected \(wanted)"
        }
        guard !stdout.isEmpty else { return nil }
        let text = String(decoding: try output().prefix(Self.searchLimit), as: UTF8.self)
        for pattern in stdout where !pattern.matches(somewhereIn: text) {
            return "the output does not match /\(pattern.text)/"
        }
        return nil
    }
}

extension Pattern {
    /// Whether the expression matches anywhere; `^` and `$` match at line ends. False when it does not compile, which
    /// validation has excluded.
    public func matches(somewhereIn text: String) -> Bool {
        guard let regex else { return false }
        return text.firstMatch(of: regex) != nil
    }

    /// The expression, compiled. By scalars, as people know it from elsewhere: by characters `\r\n` would be one, which
    /// neither `\r` nor `\n` matches. Nil when it does not compile, which validation has excluded.
    var regex: Regex<AnyRegexOutput>? {
        try? Regex(text).anchorsMatchLineEndings().matchingSemantics(.unicodeScalar)
    }
}

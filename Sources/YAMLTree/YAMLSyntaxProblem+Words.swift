import CYAML
import Diagnostics

extension YAMLSyntaxProblem {
    /// libyaml's error in plain words: its own terms ("simple key", "block mapping") help only its authors.
    func diagnostic(_ locator: Locator, text: String) -> Diagnostic {
        if let byte {
            return Diagnostic(
                .specification, "this character is not allowed in YAML",
                remedy: "write it as an escape in double quotes, such as \"\\x1b\"", cause: problem,
                at: locator.span(ofByte: byte, in: text))
        }
        let opener = locator.position(contextMark)
        var place = locator.position(mark)
        // An unclosed construct is noticed only at the end; its beginning is the useful place.
        let isAtEnd = locator.file.line(place.line)?.isEmpty ?? true && locator.file.line(place.line + 1) == nil
        if isAtEnd, !context.isEmpty { place = opener }
        let span = SourceSpan(file: locator.file, line: place.line, columns: place.column..<(place.column + 1))
        let line = locator.file.line(place.line) ?? ""
        let (message, remedy) = words(line: line, opener: opener, isAtEnd: isAtEnd)
        let own = [context, problem].filter { !$0.isEmpty }.joined(separator: ": ")
        return Diagnostic(.specification, message, remedy: remedy, cause: "libyaml: \(own)", at: span)
    }

    private func words(line: Substring, opener: SourcePosition, isAtEnd: Bool) -> (String, String?) {
        if line.contains("${{"), context.contains("flow") || problem.contains("flow") || problem.contains("key") {
            return ("this is not YAML", "within {…} or […], put quotes around a value with ${{ … }}")
        }
        let quoting = "add it, or put quotes around a value with one of `[]{},` in it"
        switch problem {
        case "found character that cannot start any token":
            return line.drop { $0 == " " }.hasPrefix("\t")
                ? ("a tab cannot be used for indentation", "indent with spaces")
                : ("a value cannot begin with this character", "put quotes around the value")
        case "mapping values are not allowed in this context":
            return ("a `:` is not allowed here", "check the indentation, or put quotes around a value with `: ` in it")
        case "could not find expected ':'":
            return ("a `:` is missing after a key", "write `key: value`; check the indentation")
        case "did not find expected ',' or '}'" where isAtEnd:
            return ("this map is never closed", "add `}`")
        case "did not find expected ',' or ']'" where isAtEnd:
            return ("this list is never closed", "add `]`")
        case "did not find expected ',' or '}'":
            return ("the map opened in line \(opener.line) lacks a `,` or its closing `}`", quoting)
        case "did not find expected ',' or ']'":
            return ("the list opened in line \(opener.line) lacks a `,` or its closing `]`", quoting)
        case "found unexpected end of stream" where context.contains("quoted"):
            return ("this quote is never closed", nil)
        case "did not find expected key":
            return (
                "a key of the map begun in line \(opener.line) is expected here",
                "check the indentation, and quotes that end too early"
            )
        case "did not find expected '-' indicator":
            return ("a `- ` of the list begun in line \(opener.line) is expected here", "check the indentation")
        case "did not find expected <document start>":
            return ("text follows the end of the document", "check the indentation")
        case "did not find expected node content":
            return ("a value is missing here", nil)
        case "found unknown escape character":
            return ("this escape is unknown", "write `\\\\` for a backslash, or use single quotes")
        case "block sequence entries are not allowed in this context":
            return ("a list cannot begin here", "begin it on a line of its own")
        case "found undefined tag handle":
            return ("the tag is unknown", "quote the value if `!` is meant literally")
        default:
            return ("this is not YAML", nil)
        }
    }
}

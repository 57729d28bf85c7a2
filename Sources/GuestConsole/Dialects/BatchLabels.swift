/// Corrects Wine's cmd.exe, which prints a message for a missing label and then succeeds. On Windows a missing label ends the
/// batch file with status 1, and after `call :label` the caller continues with it.
enum BatchLabels {
    /// cmd.exe's last output for a missing label that could not be checked before: a variable one, or one of a called batch file.
    static let complaints = ["Target to GOTO not found\r\n", "Argument missing\r\n"].map { Array($0.utf8) }

    /// Text to append to a script: each missing label that it names, with Windows' behaviour.
    static func missing(in script: String) -> String {
        var named: [String] = []
        var known: Set<String> = ["eof"]
        // Line ends are separate bytes here: as a character CR LF is one.
        for line in script.utf8.split(whereSeparator: { $0 == 10 || $0 == 13 }) {
            var rest = Substring(line).drop(while: \.isWhitespace)
            if rest.first == ":" {
                known.insert(label(of: rest.drop { $0 == ":" || $0.isWhitespace }))
                continue
            }
            while let word = nextWord(&rest) {
                let arguments = rest.drop(while: \.isWhitespace)
                let isJump = word == "goto" || word.hasPrefix("goto:") || word == "call" && arguments.first == ":"
                guard isJump else { continue }
                let place = word.hasPrefix("goto:") ? word.dropFirst(5) : arguments.drop { $0 == ":" }
                let name = label(of: place)
                if !name.isEmpty, !named.contains(name) { named.append(name) }
            }
        }
        let places = named.filter { !known.contains($0) }.map { name in
            ":\(name)\r\n@echo The system cannot find the batch label specified - \(name)>&2\r\n@exit /b 1\r\n"
        }
        return places.isEmpty ? "" : "@goto :eof\r\n" + places.joined()
    }

    /// Takes the next word of commands, in small letters.
    private static func nextWord(_ rest: inout Substring) -> Substring? {
        rest = rest.drop { $0.isWhitespace || "&|()@".contains($0) }
        let word = rest.prefix { !$0.isWhitespace && !"&|()".contains($0) }
        rest = rest[word.endIndex...]
        return word.isEmpty ? nil : Substring(word.lowercased())
    }

    /// The label at a text's beginning, in small letters; empty for none, and for one with a variable in it.
    private static func label(of text: Substring) -> String {
        let name = text.prefix { !$0.isWhitespace && !"<>|&:;,=+()".contains($0) }
        let isPlain = name.allSatisfy { $0.isLetter || $0.isNumber || "_-.".contains($0) }
        return isPlain ? name.lowercased() : ""
    }
}

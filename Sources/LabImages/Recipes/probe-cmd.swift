// The language of the `cmd` console: cmd.exe's lines with `&`, `&&`, `||`, `^`, quotes, `%NAME%`, redirections and `if`. No
// loops, labels or parentheses.

extension Shell {
    /// Runs a batch file's lines in this shell.
    func runBatch(_ text: Text) {
        nested {
            for line in text.split(separator: 10, omittingEmptySubsequences: true) {
                guard goesOn else { return }
                runLine(Text(line.last == 13 ? line.dropLast() : line), inBatch: true)
            }
        }
    }

    /// Runs one line.
    func runLine(_ line: Text, inBatch: Bool = false) {
        var reader = TextReader(expanded(line, inBatch: inBatch))
        var succeeded = true
        var operation: UInt8?
        while reader.next != nil, goesOn {
            var redirection = Redirection()
            let text = segment(&reader, &redirection)
            let isWanted = operation == nil || (operation == 38) == succeeded
            if isWanted {
                var goesOnInLine = true
                redirected(redirection) { (succeeded, goesOnInLine) = execute(text, reader.rest) }
                if !goesOnInLine { return }
            }
            operation = nil
            if let sign = reader.take(), reader.next == sign {
                reader.skip()
                operation = sign
            }
        }
    }

    /// Puts in what stands between percent signs. In batch files `%%` is a sign and an unknown name is nothing; on
    /// the session's lines both stand as they are.
    private func expanded(_ line: Text, inBatch: Bool) -> Text {
        var result: Text = []
        var reader = TextReader(line)
        while let byte = reader.take() {
            guard byte == 37 else {
                result.append(byte)
                continue
            }
            if inBatch, reader.take("%") {
                result.append(37)
                continue
            }
            let start = reader.place
            let name = reader.take { $0 != 37 }
            guard reader.take("%") else {
                reader.goBack(to: start)
                if !inBatch { result.append(37) }
                continue
            }
            if let value = self[name] {
                result += value
            } else if name.lowercased == "computername" {
                result += machine.name
            } else if name.lowercased == "errorlevel" {
                result.append(decimal: Int(status))
            } else if !inBatch {
                result.append(37)
                reader.goBack(to: start)
            }
        }
        return result
    }

    /// Reads one command up to `&` or `|`, without its carets and redirections.
    private func segment(_ reader: inout TextReader, _ redirection: inout Redirection) -> Text {
        var text: Text = []
        var isQuoted = false
        while let byte = reader.next, isQuoted || byte != 38 && byte != 124 {
            reader.skip()
            if byte == 34 { isQuoted.toggle() }
            if byte == 94, !isQuoted {
                if let next = reader.take() { text.append(next) }
            } else if !isQuoted, byte == 60 || byte == 62 {
                var from: UInt8 = 49
                if let digit = text.last, digit.isDigit, text.count < 2 || text[text.count - 2].isBlank {
                    from = digit
                    text.removeLast()
                }
                let isAppending = byte == 62 && reader.take(">")
                let isDescriptor = reader.take("&")
                reader.skip { $0.isBlank }
                let isTargetQuoted = reader.take("\"")
                let target = reader.take { isTargetQuoted ? $0 != 34 : !$0.isBlank && $0 != 38 && $0 != 124 }
                if isTargetQuoted { reader.skip() }
                if byte == 62, !isDescriptor { redirection.send(from, to: target, appending: isAppending) }
            } else {
                text.append(byte)
            }
        }
        return text
    }

    /// Runs one command. Says whether it succeeded, which `&&` asks, and whether the line goes on behind it.
    private func execute(_ text: Text, _ restOfLine: Text) -> (succeeded: Bool, lineGoesOn: Bool) {
        var reader = TextReader(text)
        reader.skip { $0.isBlank || $0 == 64 }
        let name = reader.take { !$0.isBlank && !$0.isOne(of: "/=,;.:\"") }.lowercased
        let tail = reader.rest
        let words = arguments(of: tail)
        switch name {
        case "echo":
            let word = tail.words.first?.lowercased ?? []
            if tail.isEmpty || word.isEmpty && tail.allSatisfy({ $0.isBlank }) {
                sayLine(Text("ECHO is off."))
            } else if tail.words.count > 1 || word != "off" && word != "on" {
                sayLine(Text(tail.dropFirst()))
            }
        case "rem", "": break
        case "set": return (assign(tail), true)
        case "cd", "chdir", "md", "mkdir", "title", "chcp", "setlocal", "endlocal": break
        case "if":
            guard let command = condition(tail) else { return (true, false) }
            return execute(command, restOfLine)
        case "exit":
            let word = words.last { $0.lowercased != "/b" }
            ending = .exit(Int32(truncatingIfNeeded: word?.number ?? Int(status)))
        case "call":
            return execute(Text(tail.drop { $0.isBlank }), restOfLine)
        case "cmd":
            guard words.first?.lowercased == Text("/c") else { return (true, true) }
            let command = Text(Text(tail.drop { $0.isBlank }).dropFirst(2).drop { $0.isBlank })
            process {
                if let batch = files[command.words.first ?? []] { runBatch(batch) } else { runLine(command) }
            }
            return (status == 0, true)
        default:
            let program = Text(text.drop { $0.isBlank || $0 == 64 }).words.first ?? []
            if let batch = files[program] {
                runBatch(batch)
            } else {
                let rest = Text(text.drop { $0.isBlank || $0 == 64 }).dropFirst(program.count)
                status = perform([program] + arguments(of: Text(rest)))
            }
            return (status == 0, true)
        }
        return (true, true)
    }

    /// Words between blanks, of which quotes keep some together.
    private func arguments(of text: Text) -> [Text] {
        var words: [Text] = []
        var reader = TextReader(text)
        reader.skip { $0.isBlank }
        while reader.next != nil {
            var word: Text = []
            var isQuoted = false
            while let byte = reader.next, isQuoted || !byte.isBlank {
                if byte == 34 { isQuoted.toggle() } else { word.append(byte) }
                reader.skip()
            }
            words.append(word)
            reader.skip { $0.isBlank }
        }
        return words
    }

    /// `set NAME=value`, `set "NAME=value"`, or `set` with the beginning of names to list.
    private func assign(_ tail: Text) -> Bool {
        var text = Text(tail.drop { $0.isBlank })
        if text.first == 34 {
            text.removeFirst()
            if let quote = text.lastIndex(of: 34) { text.removeSubrange(quote...) }
        }
        guard let sign = text.firstIndex(of: 61) else {
            let prefix = text.lowercased
            let known = variables.filter { $0.name.lowercased.starts(with: prefix) }
            for variable in known { sayLine(variable.name + [61] + variable.value) }
            return !known.isEmpty
        }
        let value = Text(text[(sign + 1)...])
        self[Text(text[..<sign])] = value.isEmpty ? nil : value
        return true
    }

    /// The command behind `if`, when what it asks is so: `[not] A==B`, `errorlevel N`, `exist FILE`.
    private func condition(_ tail: Text) -> Text? {
        var reader = TextReader(tail)
        func word(_ reader: inout TextReader) -> Text {
            reader.skip { $0.isBlank }
            var isQuoted = false
            return reader.take { byte in
                if byte == 34 { isQuoted.toggle() }
                return isQuoted || !byte.isBlank && byte != 61
            }
        }
        var first = word(&reader)
        let isNegated = first.lowercased == "not"
        if isNegated { first = word(&reader) }
        let isSo: Bool
        switch first.lowercased {
        case "errorlevel": isSo = Int(status) >= word(&reader).number ?? 0
        case "exist": isSo = files[word(&reader)] != nil
        default:
            reader.skip { $0.isBlank }
            guard reader.take("==") else {
                complain(Text("The syntax of the command is incorrect."))
                status = 1
                return nil
            }
            isSo = first == word(&reader)
        }
        return isSo != isNegated ? Text(reader.rest.drop { $0.isBlank }) : nil
    }
}

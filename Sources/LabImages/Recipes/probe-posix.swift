// The language of the `sh` console: lists with `;`, `&&` and `||`, groups, quotes, variables, redirections. No pipes, no
// loops, and no splitting of what a variable holds.

extension Shell {
    /// Runs a script in this shell.
    func run(_ script: Text) {
        nested {
            var reader = TextReader(script)
            list(&reader, running: true)
            if reader.next != nil { refuse(&reader) }
        }
    }

    /// Runs a whole statement, and keeps its document where `.` finds it.
    func run(_ statement: StatementReader.Statement) {
        if let document = statement.document { files[Text("/proc/self/fd/9")] = document }
        run(statement.text)
    }

    private func list(_ reader: inout TextReader, running: Bool) {
        while true {
            reader.skip { $0.isBlank || $0 == 10 || $0 == 59 }
            guard let next = reader.next, next != 41 else { return }
            if next == 35 {
                reader.skip { $0 != 10 }
                continue
            }
            let start = reader.place
            var runs = running
            command(&reader, running: runs)
            while true {
                reader.skip { $0.isBlank }
                if reader.take("&&") {
                    runs = running && status == 0
                } else if reader.take("||") {
                    runs = running && status != 0
                } else {
                    break
                }
                reader.skip { $0.isBlank || $0 == 10 }
                command(&reader, running: runs)
            }
            // Only the last command of a list fails for all of it.
            if runs, status != 0, stopsAtFailure, goesOn { ending = .exit(status) }
            if reader.place == start || reader.next == 38 || reader.next == 124 { return refuse(&reader) }
        }
    }

    private func refuse(_ reader: inout TextReader) {
        guard ending == nil else { return reader.end() }
        let what = reader.next.map { [34, $0, 34] } ?? Text("end of file")
        complain(Text("sh: syntax error: unexpected ") + what)
        status = 2
        ending = .exit(2)
        reader.end()
    }

    /// One command, or a group; read only where it is not `running`.
    private func command(_ reader: inout TextReader, running: Bool) {
        reader.skip { $0.isBlank }
        if reader.next == 40 { return group(&reader, running: running) }
        var words: [Text] = []
        var redirection = Redirection()
        while let next = reader.next, !next.isOne(of: ";\n&|()") {
            if next == 35 {
                reader.skip { $0 != 10 }
            } else if !redirect(&reader, &redirection), let word = word(&reader) {
                words.append(word)
            }
            reader.skip { $0.isBlank }
        }
        guard running, goesOn else { return }
        redirected(redirection) { execute(words) }
    }

    private func group(_ reader: inout TextReader, running: Bool) {
        reader.skip()
        let start = reader.place
        // Where it ends, and what stands behind it, must be known before it runs.
        nested { list(&reader, running: false) }
        guard reader.next == 41 else { return refuse(&reader) }
        let body = Text(reader.text[start..<reader.place])
        reader.skip()
        var redirection = Redirection()
        reader.skip { $0.isBlank }
        while redirect(&reader, &redirection) { reader.skip { $0.isBlank } }
        guard running, goesOn else { return }
        redirected(redirection) { process(isFork: true) { run(body) } }
    }

    /// Reads a redirection if one is ahead, such as `>file`, `2>&1`, `8<&-`.
    private func redirect(_ reader: inout TextReader, _ redirection: inout Redirection) -> Bool {
        let number = reader.next?.isDigit == true ? reader.next : nil
        let sign = number == nil ? reader.next : reader.ahead(1)
        guard sign == 60 || sign == 62 else { return false }
        reader.skip(number == nil ? 1 : 2)
        let isAppending = sign == 62 && reader.take(">")
        // Descriptors are all the same here: input is empty, and there is one output.
        let isDescriptor = reader.take("&")
        reader.skip { $0.isBlank }
        let target = word(&reader) ?? []
        if sign == 62, !isDescriptor { redirection.send(number ?? 49, to: target, appending: isAppending) }
        return true
    }

    /// Reads a word and puts in what its variables hold; nil when an unquoted word comes to nothing.
    private func word(_ reader: inout TextReader) -> Text? {
        var word: Text = []
        var isQuoted = false
        while let next = reader.next, !next.isBlank, !next.isOne(of: ";\n&|()<>") {
            reader.skip()
            switch next {
            case 39:
                isQuoted = true
                word += reader.take { $0 != 39 }
                reader.skip()
            case 34:
                isQuoted = true
                doubleQuoted(&reader, &word)
            case 92:
                // A line that ends so goes on in the next.
                if let byte = reader.take(), byte != 10 { word.append(byte) }
            case 36: variable(&reader, &word)
            default: word.append(next)
            }
        }
        return word.isEmpty && !isQuoted ? nil : word
    }

    private func doubleQuoted(_ reader: inout TextReader, _ word: inout Text) {
        while let byte = reader.take(), byte != 34 {
            switch byte {
            case 92:
                guard let next = reader.take() else { return }
                if !next.isOne(of: "$`\"\\\n") { word.append(92) }
                if next != 10 { word.append(next) }
            case 36: variable(&reader, &word)
            default: word.append(byte)
            }
        }
    }

    /// What is behind a dollar sign: `$NAME`, `${NAME}`, `$?`, or nothing of ours.
    private func variable(_ reader: inout TextReader, _ word: inout Text) {
        if reader.take("?") { return word.append(decimal: Int(status)) }
        let isBraced = reader.take("{")
        let name = reader.take { $0.isWord }
        if isBraced { reader.skip { $0 != 125 } }
        if isBraced { reader.skip() }
        guard !name.isEmpty else { return word.append(36) }
        // Ctrl-C, which cannot be typed as itself.
        if name == "__c" { return word.append(3) }
        word += self[name] ?? []
    }

    /// Runs a command: assignments, what must run in the shell itself, else what every shell knows.
    private func execute(_ words: [Text]) {
        var words = words[...]
        while let word = words.first, let sign = word.firstIndex(of: 61), sign > 0, !word[0].isDigit,
            word[..<sign].allSatisfy({ $0.isWord })
        {
            self[Text(word[..<sign])] = Text(word[(sign + 1)...])
            words = words.dropFirst()
            status = 0
        }
        guard let name = words.first else { return }
        let arguments = Array(words.dropFirst())
        switch name {
        case "export":
            execute(arguments)
        case "eval":
            var reader = StatementReader()
            for byte in arguments.joined(separator: [32]) + [10] {
                if let statement = reader.take(byte) { run(statement) }
            }
            if reader.isTorn { complain(Text("sh: syntax error: unexpected end of file")) }
        case ".":
            run(files[arguments.first ?? []] ?? [])
        case "sh":
            guard arguments.first == Text("-c"), arguments.count > 1 else { return status = 2 }
            process { run(arguments[1]) }
        case "exit":
            ending = .exit(Int32(truncatingIfNeeded: (arguments.first?.number ?? Int(status)) & 255))
        case "b":
            say([30] + (arguments.first ?? []).prefix(8) + [43])
            status = 0
        case "a":
            var marker = [30] + (arguments.first ?? []) + [45]
            marker.append(decimal: Int(status))
            say(marker + [10])
            status = 0
        case "v":
            // A command framed by its markers; what these three are is said in GuestConsole's POSIXShell.
            guard arguments.count > 1 else { return status = 2 }
            execute([Text("b"), arguments[0]])
            process {
                if arguments.count > 2 { run(arguments[2]) }
                stopsAtFailure = arguments.count > 3
                if goesOn { run(arguments[1]) }
            }
            execute([Text("a"), arguments[0]])
        default:
            status = perform(Array(words))
        }
    }
}
